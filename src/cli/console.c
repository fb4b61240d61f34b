/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/console.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "cli/terminal.h"

/* Two fibers: this one carries the guest's output to stdout, the other one the keys to the guest. Whichever sees the
 * end first wakes the other. */
struct console {
    struct stream *stream;
    int input;
    char escape;
    bool keys_running;
    struct condition keys_ended;
    struct error error; /* of the keys */
};

static int send_keys(struct console *console, struct error *err)
{
    char buffer[1024];
    for (;;) {
        if (await_fd(console->input, POLLIN, DEADLINE_NONE, err) < 0)
            return -1;
        ssize_t got = read(console->input, buffer, sizeof buffer);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got < 0)
            return error_system(err, errno, "cannot read the keyboard");
        char *escape = got ? memchr(buffer, console->escape, (size_t)got) : NULL;
        size_t length = escape ? (size_t)(escape - buffer) : (size_t)got;
        if (length && stream_send(console->stream, buffer, length, DEADLINE_NONE, err) < 0)
            return -1;
        if (escape || got == 0)
            return 0;
    }
}

static void keys_fiber(void *argument)
{
    struct console *console = argument;
    if (send_keys(console, &console->error) == 0)
        console->error = (struct error){0};
    stream_cancel(console->stream);
    console->keys_running = false;
    condition_wake(&console->keys_ended);
}

/* stdout's descriptor may be non-blocking when somebody made it so: then this waits. */
static int write_all(const char *data, size_t length, struct error *err)
{
    while (length) {
        ssize_t wrote = write(STDOUT_FILENO, data, length);
        if (wrote < 0 && errno == EAGAIN) {
            struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&ready, 1, -1);
        } else if (wrote < 0 && errno != EINTR) {
            return error_system(err, errno, "cannot write to the terminal");
        }
        data += wrote > 0 ? wrote : 0;
        length -= wrote > 0 ? (size_t)wrote : 0;
    }
    return 0;
}

static int show_output(struct console *console, struct error *err)
{
    char buffer[16384];
    for (;;) {
        ssize_t got = stream_receive(console->stream, buffer, sizeof buffer, NULL, DEADLINE_NONE, err);
        if (got <= 0)
            return (int)got;
        if (write_all(buffer, (size_t)got, err) < 0)
            return -1;
    }
}

static int join(struct console *console, struct error *err)
{
    condition_init(&console->keys_ended);
    console->keys_running = true;
    struct fiber *keys = fiber_start("console-keys", keys_fiber, console);
    int result = show_output(console, err);
    bool ended_by_keys = !console->keys_running;
    if (console->keys_running)
        fiber_cancel(keys);
    while (console->keys_running)
        condition_wait(&console->keys_ended, DEADLINE_NONE, NULL);
    if (result < 0)
        return -1;
    if (ended_by_keys && console->error.code && console->error.code != ERR_OPERATION_ABORTED) {
        *err = console->error;
        return -1;
    }
    struct error ignored = {0};
    stream_finish(console->stream, deadline_ms(2000), &ignored); /* the guest may be gone already */
    return 0;
}

int console_run(struct invocation *in, const struct wire_domain *dom, const char *device, unsigned flags,
                struct error *err)
{
    struct console console = {.escape = in->shell->escape, .input = terminal_open_input()};
    scoped_fd int input = console.input;
    if (input < 0)
        return error_set(err, ERR_OPERATION_INVALID, "a console needs a terminal or a pipe as standard input");
    struct domain_open_console_args args = {.dom = *dom, .dev_name = device, .flags = flags};
    if (remote_domain_open_console(shell_client(in), &args, &console.stream, err) < 0)
        return command_failed(err, "cannot open the console of domain '%s'", dom->name);
    struct raw_terminal raw = {0};
    int result = isatty(STDIN_FILENO) ? raw_terminal_begin(&raw, err) : 0;
    if (result == 0) { /* raw before the greeting: whoever waits for that may type at once */
        const char *line_end = raw.active ? "\r\n" : "\n";
        output_note(in, "Connected to domain '%s'%sEscape character is ^%c%s%s", dom->name, line_end,
                    console.escape | 0x40, console.escape == (']' & 0x1f) ? " (Ctrl + ])" : "", line_end);
        fflush(stdout);
        result = join(&console, err);
    }
    raw_terminal_end(&raw);
    stream_free(console.stream);
    return result;
}

static int run_console(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    unsigned flags = (option_given(in, "force") ? DOMAIN_CONSOLE_FORCE : 0) |
                     (option_given(in, "safe") ? DOMAIN_CONSOLE_SAFE : 0);
    if (domain_get(in, &dom, err) < 0)
        return -1;
    if (dom.id < 0)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' does not run, so it has no console", dom.name);
    return console_run(in, &dom, option_text(in, "devname"), flags, err);
}

static const struct command_option console_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"devname", OPTION_STRING, 0, "alias of the character device, like serial1; without it the first console"},
    {"force", OPTION_BOOL, 0, "take it from whoever has it"},
    {"safe", OPTION_BOOL, 0, "only when the daemon keeps two people from sharing it"},
    {0},
};

const struct command console_commands[] = {
    {"console", "domain", "join the terminal with a domain's console", "The escape key (^] unless -e says otherwise) "
     "leaves it.", console_options, run_console},
    {0},
};
