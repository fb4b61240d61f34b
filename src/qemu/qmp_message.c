/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/qmp_message.h"

#include <string.h>

/* QEMU's uint64 may exceed what JSON libraries take for an integer ("lbr-fmt": 18446744073709551552): such numbers
 * become the negative ones with the same bits, so that a cast gives them back. */
static void wrap_integers(struct text *out, const char *line, size_t length)
{
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        size_t digits = quoted ? 0 : strspn(line + i, "0123456789");
        uint64_t value;
        if (digits >= 19 && i + digits < length && line[i + digits] != '.' && line[i - (i > 0)] != '-') {
            scoped_free char *number = strndup(line + i, digits);
            if (parse_u64(number, 10, &value) == 0) {
                text_printf(out, "%lld", (long long)value);
                i += digits - 1;
                continue;
            }
        }
        if (line[i] == '"')
            quoted = !quoted;
        text_append_bytes(out, line + i, 1 + (digits > 0 ? digits - 1 : 0));
        i += digits > 0 ? digits - 1 : 0;
        if (line[i] == '\\' && quoted && i + 1 < length)
            text_append_char(out, line[++i]);
    }
}

json_t *qmp_message_load(const char *line, size_t length, struct error *err)
{
    json_t *message = json_read(line, length, err);
    if (message)
        return message;
    scoped_text struct text wrapped = {0};
    scoped_free char *terminated = strndup(line, length);
    wrap_integers(&wrapped, terminated, strlen(terminated));
    return json_read(text_string(&wrapped), wrapped.length, err);
}

static int append_json(const char *bytes, size_t size, void *text)
{
    text_append_bytes(text, bytes, size);
    return 0;
}

void qmp_message_append(struct text *out, const char *command, json_t *arguments, uint64_t id, bool out_of_band)
{
    text_printf(out, "{\"%s\":\"%s\"", out_of_band ? "exec-oob" : "execute", command);
    if (json_object_size(arguments) > 0) {
        text_append(out, ",\"arguments\":");
        json_dump_callback(arguments, append_json, out, JSON_COMPACT);
    }
    text_printf(out, ",\"id\":%llu}\n", (unsigned long long)id);
    json_decref(arguments);
}

void qmp_message_append_raw(struct text *out, json_t *command, uint64_t id)
{
    json_object_set_new(command, "id", json_integer((json_int_t)id));
    scoped_free char *line = json_dumps(command, JSON_COMPACT);
    text_printf(out, "%s\n", line);
    json_decref(command);
}
