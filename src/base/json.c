/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/json.h"

/* Up to its first fault, jansson sees the same strings and brackets; what comes behind it does not matter. */
static bool too_deep(const char *text, size_t length)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '[' || text[i] == '{') && ++depth > JSON_DEPTH_MAX)
            return true;
        else if (!quoted && (text[i] == ']' || text[i] == '}') && depth > 0)
            depth--;
    }
    return false;
}

json_t *json_read(const char *text, size_t length, struct error *err)
{
    json_error_t fault;
    if (too_deep(text, length))
        return error_null(err, ERR_INTERNAL_ERROR, "it nests more than %d levels deep", JSON_DEPTH_MAX);
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &fault);
    return json ? json : error_null(err, ERR_INTERNAL_ERROR, "%s (at byte %d)", fault.text, fault.position);
}
