/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/output.h"

const struct command_group command_groups[] = {
    {"domain", "Domains"},
    {"convert", "Conversion from Xen"},
    {"monitor", "Watching domains"},
    {"events", "Domain events"},
    {"host", "Host and hypervisor"},
    {"pool", "Storage pools"},
    {"volume", "Storage volumes"},
    {"image", "Disk images"},
    {"secret", "Secrets"},
    {"virsh", "The shell itself"},
    {0},
};

static const struct command *const tables[] = {
    agent_commands,   pin_commands,     tune_commands,
    builtin_commands, help_commands,    complete_commands, connection_commands, host_commands,    host_cpu_commands,
    host_memory_commands, list_commands, lifecycle_commands, define_commands,   xml_commands,     text_commands,
    info_commands,    device_commands,  stats_commands,    resource_commands,   display_commands, console_commands,
    event_commands,   monitor_commands, job_commands,      migrate_commands, evacuate_commands, relay_commands,
    native_commands,  convert_commands,
    pool_commands,    pool_define_commands, pool_event_commands, pool_list_commands, volume_commands,
    volume_change_commands, volume_stream_commands, secret_commands, image_commands,
};

static const struct command_option output_option = {"output", OPTION_STRING, OPTION_NAMED, "how to print: table or "
                                                    "json", NULL};

static size_t group_rank(const char *name)
{
    size_t rank = 0;
    while (command_groups[rank].name && strcmp(command_groups[rank].name, name) != 0)
        rank++;
    return rank;
}

static int command_compare(const void *a, const void *b)
{
    const struct command *left = *(const struct command *const *)a, *right = *(const struct command *const *)b;
    size_t left_rank = group_rank(left->group), right_rank = group_rank(right->group);
    return left_rank != right_rank ? (left_rank < right_rank ? -1 : 1) : strcmp(left->name, right->name);
}

const struct command *const *command_list(void)
{
    static const struct command *all[256];
    if (all[0])
        return all;
    size_t count = 0;
    for (size_t i = 0; i < COUNT(tables); i++)
        for (const struct command *command = tables[i]; command->name; command++) {
            if (count + 1 == COUNT(all))
                abort();
            all[count++] = command;
        }
    qsort(all, count, sizeof *all, command_compare);
    return all;
}

const struct command *command_find(const char *name)
{
    for (const struct command *const *command = command_list(); *command; command++)
        if (strcmp((*command)->name, name) == 0)
            return *command;
    return NULL;
}

const struct command_group *command_group_find(const char *name)
{
    for (const struct command_group *group = command_groups; group->name; group++)
        if (strcmp(group->name, name) == 0 || strcasecmp(group->title, name) == 0)
            return group;
    return NULL;
}

const struct command_option *command_option_find(const struct command *command, const char *name)
{
    for (const struct command_option *option = command->options; option && option->name; option++)
        if (strcmp(option->name, name) == 0)
            return option->type == OPTION_ALIAS ? command_option_find(command, option->help) : option;
    return strcmp(name, output_option.name) == 0 ? &output_option : NULL;
}

static size_t option_row(const struct invocation *in, const char *name)
{
    const struct command_option *option = command_option_find(in->command, name);
    if (!option || option == &output_option) {
        fprintf(stderr, "command '%s' has no option '%s' in its table\n", in->command->name, name);
        abort();
    }
    return option - in->command->options;
}

bool option_given(const struct invocation *in, const char *name)
{
    return option_text(in, name) != NULL;
}

const char *option_text(const struct invocation *in, const char *name)
{
    return in->values[option_row(in, name)];
}

char *invocation_rest(const struct invocation *in, size_t from)
{
    scoped_text struct text joined = {0};
    for (size_t i = from; i < in->rest_count; i++)
        text_printf(&joined, "%s%s", i > from ? " " : "", in->rest[i]);
    return arena_strdup(in->arena, text_string(&joined));
}

int option_i64(const struct invocation *in, const char *name, int64_t min, int64_t max, int64_t *value,
               struct error *err)
{
    const char *text = option_text(in, name);
    if (!text)
        return 0;
    int64_t number = 0;
    if (parse_i64(text, 0, &number) < 0 || number < min || number > max)
        return error_set(err, ERR_INVALID_ARG, "--%s takes a number from %lld to %lld, not '%s'", name, (long long)min,
                         (long long)max, text);
    *value = number;
    return 1;
}

int option_u64(const struct invocation *in, const char *name, uint64_t max, uint64_t *value, struct error *err)
{
    const char *text = option_text(in, name);
    if (!text)
        return 0;
    uint64_t number = 0;
    if (parse_u64(text, 0, &number) < 0 || number > max)
        return error_set(err, ERR_INVALID_ARG, "--%s takes a number from 0 to %llu, not '%s'", name,
                         (unsigned long long)max, text);
    *value = number;
    return 1;
}

int option_i32(const struct invocation *in, const char *name, int32_t min, int32_t *value, struct error *err)
{
    int64_t number = 0;
    int result = option_i64(in, name, min, INT32_MAX, &number, err);
    if (result > 0)
        *value = (int32_t)number;
    return result;
}

int option_size(const struct invocation *in, const char *name, uint64_t scale, uint64_t *bytes, struct error *err)
{
    const char *text = option_text(in, name);
    if (!text)
        return 0;
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    uint64_t number = 0, factor = scale;
    char *digit_text = arena_strndup(in->arena, text, digits);
    if (*unit && digits) {
        static const char letters[] = "bKMGTPE";
        const char *letter = strcasecmp(unit, "bytes") == 0 || strcasecmp(unit, "byte") == 0
                                 ? letters : strcasestr(letters, (char[]){*unit, 0});
        bool decimal = letter && letter != letters && strcasecmp(unit + 1, "B") == 0;
        bool known = letter && (letter == letters ? unit[1] == '\0' || strlen(unit) > 3
                                                  : !unit[1] || decimal || strcasecmp(unit + 1, "iB") == 0);
        if (!known)
            return error_set(err, ERR_INVALID_ARG, "--%s: unit '%s' in '%s' is not known; units are b, K, M, G, T, P, "
                             "E (or KiB ...) for powers of 1024 and KB ... EB for powers of 1000", name, unit, text);
        factor = 1;
        for (ptrdiff_t power = letter - letters; power > 0; power--)
            factor *= decimal ? 1000 : 1024;
    }
    if (parse_u64(digit_text, 10, &number) < 0 || __builtin_mul_overflow(number, factor, &number))
        return error_set(err, ERR_INVALID_ARG, "--%s takes a size like 512M or 1GiB below 16 EiB, not '%s'", name,
                         text);
    *bytes = number;
    return 1;
}

int command_failed(struct error *err, const char *format, ...)
{
    scoped_text struct text context = {0};
    va_list args;
    va_start(args, format);
    text_vprintf(&context, format, args);
    va_end(args);
    return string_starts(err->message, text_string(&context)) ? -1 : error_wrap(err, "%s", text_string(&context));
}

int option_exclusive(const struct invocation *in, struct error *err, ...)
{
    va_list names;
    va_start(names, err);
    const char *seen = NULL;
    int result = 0;
    for (const char *name; result == 0 && (name = va_arg(names, const char *));) {
        if (!option_given(in, name))
            continue;
        if (seen)
            result = error_set(err, ERR_INVALID_ARG, "--%s and --%s exclude each other", seen, name);
        seen = name;
    }
    va_end(names);
    return result;
}
