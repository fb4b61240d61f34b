/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/shell.h"

#include <stdlib.h>
#include <string.h>

#include "cli/parse.h"

static const char *default_uri(void)
{
    static const char *const variables[] = {"GODWIT_DEFAULT_URI", "VIRSH_DEFAULT_CONNECT_URI", "LIBVIRT_DEFAULT_URI"};
    for (size_t i = 0; i < COUNT(variables); i++) {
        const char *value = getenv(variables[i]);
        if (value && *value)
            return value;
    }
    return "qemu:///system";
}

void shell_init(struct shell *shell)
{
    *shell = (struct shell){.uri = xstrdup(default_uri()), .escape = ']' & 0x1f, .debug = 4,
                            .keepalive = {.interval_s = 5, .count = 6}};
}

void shell_finish(struct shell *shell)
{
    connection_close(steal(shell->connection));
    free(steal(shell->uri));
    if (shell->log)
        fclose(steal(shell->log));
}

struct client *shell_client(const struct invocation *in)
{
    return in->shell->connection->client;
}

int shell_connect(struct shell *shell, struct error *err)
{
    if (shell->connection && shell->connection->closed) {
        output_warning(shell, "the connection to '%s' ended (%s); connecting anew", shell->connection->uri,
                       shell->connection->reason.message);
        connection_close(steal(shell->connection));
    }
    if (shell->connection)
        return 0;
    output_debug(shell, 0, "connecting to '%s'%s", shell->uri, shell->readonly ? " read-only" : "");
    shell->connection = connection_open(shell->uri, shell->readonly, shell->keepalive, err);
    return shell->connection ? 0 : command_failed(err, "cannot connect to '%s'", shell->uri);
}

static int run_one(struct invocation *in)
{
    struct shell *shell = in->shell;
    struct error err = {0};
    uint64_t begin = now_ns();
    int result = 0;
    output_debug(shell, 1, "command '%s'", in->command->name);
    if (!(in->command->flags & COMMAND_NO_CONNECTION))
        result = shell_connect(shell, &err);
    if (result == 0)
        result = in->command->run(in, &err);
    if (result < 0 && err.code)
        output_error(shell, &err);
    if (shell->quitting || (in->command->flags & COMMAND_HIDDEN))
        return result;
    if (shell->timing) /* JSON stays JSON */
        fprintf(output_is_json(in) ? stderr : stdout, "\n(Time: %.3f ms)\n\n", (double)(now_ns() - begin) / 1e6);
    else
        output_note(in, "\n");
    fflush(stdout);
    return result;
}

static int run_all(struct shell *shell, struct list *invocations)
{
    int result = 0;
    for (struct list *link = invocations->next; link != invocations && !shell->quitting; link = link->next)
        result = run_one(container_of(link, struct invocation, link));
    return result;
}

int shell_run_line(struct shell *shell, const char *line)
{
    scoped_arena struct arena *arena = arena_new();
    struct list invocations;
    struct error err = {0};
    list_init(&invocations);
    if (parse_line(shell, arena, line, &invocations, &err) < 0) {
        output_error(shell, &err);
        return -1;
    }
    return run_all(shell, &invocations);
}

int shell_run_words(struct shell *shell, int count, char *const *words)
{
    scoped_arena struct arena *arena = arena_new();
    struct list invocations;
    struct error err = {0};
    list_init(&invocations);
    if (parse_words(shell, arena, count, words, &invocations, &err) < 0) {
        output_error(shell, &err);
        return -1;
    }
    return run_all(shell, &invocations);
}
