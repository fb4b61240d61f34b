/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cpu_set.h"

#include <string.h>

#include "base/text.h"

unsigned cpu_set_count(const struct cpu_set *set)
{
    unsigned count = 0;
    for (size_t i = 0; i < COUNT(set->words); i++)
        count += (unsigned)__builtin_popcountll(set->words[i]);
    return count;
}

unsigned cpu_set_end(const struct cpu_set *set)
{
    for (size_t i = COUNT(set->words); i-- > 0;)
        if (set->words[i])
            return (unsigned)i * 64 + 64 - (unsigned)__builtin_clzll(set->words[i]);
    return 0;
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r\n");
}

/* Returns what follows the number and its blanks, or NULL. */
static const char *read_number(const char *text, unsigned *number)
{
    if (*text < '0' || *text > '9')
        return NULL;
    for (*number = 0; *text >= '0' && *text <= '9'; text++) {
        *number = *number * 10 + (unsigned)(*text - '0');
        if (*number >= CPU_SET_BITS)
            return NULL;
    }
    return skip_blanks(text);
}

int cpu_set_parse(struct cpu_set *set, const char *text)
{
    *set = (struct cpu_set){0};
    text = skip_blanks(text);
    while (*text) {
        unsigned first, last;
        bool without = *text == '^';
        text = read_number(text + without, &first);
        last = first;
        if (text && *text == '-' && !without)
            text = read_number(skip_blanks(text + 1), &last);
        if (!text || last < first || (*text && *text != ','))
            return -1;
        for (unsigned bit = first; bit <= last; bit++)
            (without ? cpu_set_remove : cpu_set_add)(set, bit);
        if (!*text)
            break;
        text = skip_blanks(text + 1);
        if (!*text)
            return -1; /* nothing behind the comma */
    }
    return 0;
}

char *cpu_set_format(struct arena *arena, const struct cpu_set *set)
{
    scoped_text struct text list = {0};
    unsigned end = cpu_set_end(set);
    for (unsigned first = 0, last; first < end; first = last + 1) {
        last = first;
        if (!cpu_set_has(set, first))
            continue;
        while (cpu_set_has(set, last + 1))
            last++;
        text_printf(&list, last > first ? "%s%u-%u" : "%s%u", list.length ? "," : "", first, last);
    }
    return arena_strdup(arena, text_string(&list));
}
