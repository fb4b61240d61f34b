/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/bitmap.h"

#include "base/text.h"

static bool bit_is_set(const uint8_t *map, size_t length, size_t bit)
{
    return bit / 8 < length && (map[bit / 8] >> bit % 8 & 1);
}

char *bitmap_ranges(struct arena *arena, const uint8_t *map, size_t length, size_t bits)
{
    scoped_text struct text out = {0};
    for (size_t first = 0; first < bits; first++) {
        if (!bit_is_set(map, length, first))
            continue;
        size_t last = first;
        while (last + 1 < bits && bit_is_set(map, length, last + 1))
            last++;
        text_printf(&out, "%s%zu", out.length ? "," : "", first);
        if (last > first)
            text_printf(&out, "-%zu", last);
        first = last;
    }
    return arena_strdup(arena, text_string(&out));
}

char *bitmap_letters(struct arena *arena, const uint8_t *map, size_t length, size_t bits)
{
    char *out = arena_alloc(arena, bits + 1);
    for (size_t i = 0; i < bits; i++)
        out[i] = bit_is_set(map, length, i) ? 'y' : '-';
    return out;
}
