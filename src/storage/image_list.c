/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/image_list.h"

#include <string.h>

#include "base/text.h"

/* Up to the comma that ends it; *list is behind that. */
static char *take_value(struct arena *arena, const char **list)
{
    char *value = arena_strdup(arena, *list), *to = value;
    for (const char *from = *list;; from++) {
        if (*from == ',' && from[1] == ',')
            from++;
        else if (!*from || *from == ',') {
            *to = '\0';
            *list = from + (*from == ',');
            return value;
        }
        *to++ = *from;
    }
}

int image_list_find(struct arena *arena, const char *list, const char *name, const char **value, struct error *err)
{
    *value = NULL;
    while (list && *list) {
        size_t length = strcspn(list, "=,");
        const char *word = arena_strndup(arena, list, length), *found = "";
        list += length;
        if (*list == '=') {
            list++;
            found = take_value(arena, &list);
        } else if (*list) {
            list++;
        }
        if (!string_equal(word, name) && !string_equal(string_after(word, "no"), name)) /* "noX" is an old "X=off" */
            continue;
        if (*value)
            return error_set(err, ERR_INVALID_ARG, "the options say '%s' twice", name);
        *value = found;
    }
    return 0;
}
