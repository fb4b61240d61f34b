/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/enums.h"

#include <string.h>

#include "base/cleanup.h"

#define ENUM_WORD(prefix, name, word) word,
#define DEFINE_ENUM(type, PREFIX, WORDS)                                        \
    static const char *const type##_list[] = {NULL, WORDS(ENUM_WORD, PREFIX)};  \
    const struct words type##_words = {type##_list, COUNT(type##_list)};
MODEL_ENUMS(DEFINE_ENUM)

const char *words_name(const struct words *words, unsigned value)
{
    return value < words->count ? words->word[value] : NULL;
}

unsigned words_value(const struct words *words, const char *word)
{
    for (unsigned value = 1; value < words->count; value++)
        if (strcmp(words->word[value], word) == 0)
            return value;
    return 0;
}
