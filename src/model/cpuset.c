/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/cpuset.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

struct bits {
    unsigned char byte[CPUSET_BITS / 8];
};

static bool bit_get(const struct bits *bits, unsigned bit)
{
    return bits->byte[bit / 8] & 1u << bit % 8;
}

static void bit_set(struct bits *bits, unsigned bit, bool on)
{
    if (on)
        bits->byte[bit / 8] |= (unsigned char)(1u << bit % 8);
    else
        bits->byte[bit / 8] &= (unsigned char)~(1u << bit % 8);
}

static void bits_fill(struct bits *bits, unsigned first, unsigned last)
{
    while (first <= last && first % 8)
        bit_set(bits, first++, true);
    if (first <= last) {
        memset(bits->byte + first / 8, 0xff, (last + 1 - first) / 8);
        first += (last + 1 - first) / 8 * 8;
    }
    while (first <= last)
        bit_set(bits, first++, true);
}

static const char *blanks_skip(const char *text)
{
    return text + strspn(text, " \t\r\n");
}

static const char *number_read(const char *text, unsigned *number)
{
    if (!isdigit((unsigned char)*text))
        return NULL;
    for (*number = 0; isdigit((unsigned char)*text); text++) {
        *number = *number * 10 + (unsigned)(*text - '0');
        if (*number >= CPUSET_BITS)
            return NULL;
    }
    return blanks_skip(text);
}

static bool bits_read(struct bits *bits, const char *text)
{
    for (text = blanks_skip(text);; text++) {
        unsigned first, last;
        text = blanks_skip(text);
        bool without = *text == '^';
        text = number_read(without ? text + 1 : text, &first);
        if (!text)
            return false;
        last = first;
        if (*text == '-' && !without) {
            text = number_read(blanks_skip(text + 1), &last);
            if (!text || last < first)
                return false;
        }
        if (without)
            bit_set(bits, first, false);
        else
            bits_fill(bits, first, last);
        if (*text == '\0')
            return true;
        if (*text != ',')
            return false;
    }
}

char *cpuset_normalize(struct arena *arena, const char *text)
{
    struct bits bits = {0};
    if (!bits_read(&bits, text))
        return NULL;
    scoped_text struct text out = {0};
    for (unsigned bit = 0; bit < CPUSET_BITS; bit++) {
        if (!bit_get(&bits, bit))
            continue;
        unsigned last = bit;
        while (last + 1 < CPUSET_BITS && bit_get(&bits, last + 1))
            last++;
        text_printf(&out, "%s%u", out.length ? "," : "", bit);
        if (last > bit)
            text_printf(&out, "-%u", last);
        bit = last;
    }
    return arena_strdup(arena, text_string(&out));
}

unsigned cpuset_members(const char *text, unsigned *member, unsigned max)
{
    struct bits bits = {0};
    unsigned count = 0;
    if (!bits_read(&bits, text))
        return 0;
    for (unsigned bit = 0; bit < CPUSET_BITS; bit++) {
        if (!bit_get(&bits, bit))
            continue;
        if (count < max)
            member[count] = bit;
        count++;
    }
    return count;
}
