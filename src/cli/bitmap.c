/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/bitmap.h"

#include <string.h>

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

/* One of "3", "0-3", "0-" (to the last), each with a ^ before it to take out. */
static int mark(uint8_t *map, char *part, size_t bits)
{
    bool clear = *part == '^';
    char *dash = strchr(part, '-');
    uint32_t first, last;
    if (dash)
        *dash = '\0';
    if (parse_u32(part + clear, 10, &first) < 0)
        return -1;
    last = dash && !dash[1] ? (uint32_t)bits - 1 : first;
    if (dash && dash[1] && parse_u32(dash + 1, 10, &last) < 0)
        return -1;
    if (first > last || last >= bits)
        return -1;
    for (size_t bit = first; bit <= last; bit++)
        map[bit / 8] = (uint8_t)(clear ? map[bit / 8] & ~(1u << bit % 8) : map[bit / 8] | 1u << bit % 8);
    return 0;
}

uint8_t *bitmap_parse(struct arena *arena, const char *text, size_t bits)
{
    size_t length = (bits + 7) / 8;
    uint8_t *map = arena_new_array(arena, length, uint8_t);
    memset(map, 0, length);
    char *rest = arena_strdup(arena, text);
    for (char *part; (part = strsep(&rest, ","));)
        if (mark(map, part, bits) < 0)
            return NULL;
    return map;
}

char *bitmap_letters(struct arena *arena, const uint8_t *map, size_t length, size_t bits)
{
    char *out = arena_alloc(arena, bits + 1);
    for (size_t i = 0; i < bits; i++)
        out[i] = bit_is_set(map, length, i) ? 'y' : '-';
    return out;
}
