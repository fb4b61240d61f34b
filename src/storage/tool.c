/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/tool.h"

#include <unistd.h>

bool tool_there(const char *program)
{
    static const char *const folders[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};
    for (size_t i = 0; i < COUNT(folders); i++) {
        scoped_free char *path = xprintf("%s/%s", folders[i], program);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

int tool_run_argv(struct text *output, const struct argv *argv, struct error *err)
{
    scoped_text struct text ignored = {0};
    return process_run(argv, output ? output : &ignored, TOOL_OUTPUT_MAX, deadline_ms(TOOL_MS), err);
}

int tool_run(struct text *output, struct error *err, const char *program, ...)
{
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = argv_new(arena);
    argv_add(argv, program);
    va_list words;
    va_start(words, program);
    for (const char *word; (word = va_arg(words, const char *));)
        argv_add(argv, word);
    va_end(words);
    return tool_run_argv(output, argv, err);
}

int tool_require(const char *program, const char *package, struct error *err)
{
    if (tool_there(program))
        return 0;
    return error_set(err, ERR_OPERATION_UNSUPPORTED, "this needs the program '%s'; install the package %s", program,
                     package);
}
