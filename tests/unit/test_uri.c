/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/transport.h"
#include "rpc/uri.h"

static void parses_every_part(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    struct uri *uri = uri_parse(arena, "QEMU+SSH://me%40home@[fe80::1%25eth0]:2222/system?keyfile=/a%20b&no_tty=1&x",
                                &err);
    assert_non_null(uri);
    assert_string_equal(uri->driver, "qemu");
    assert_string_equal(uri->transport, "ssh");
    assert_string_equal(uri->user, "me@home");
    assert_string_equal(uri->host, "fe80::1%eth0");
    assert_int_equal(uri->port, 2222);
    assert_string_equal(uri->path, "/system");
    assert_string_equal(uri_parameter(uri, "keyfile"), "/a b");
    assert_string_equal(uri_parameter(uri, "x"), "");
    assert_null(uri_parameter(uri, "y"));
    assert_string_equal(uri_format(arena, uri),
                        "qemu+ssh://me%40home@[fe80::1%25eth0]:2222/system?keyfile=/a%20b&no_tty=1&x=");
}

static void names_on_the_wire(void **state)
{
    static const char *const cases[][2] = {
        {"qemu:///system", "qemu:///system"},
        {"qemu+unix:///system?socket=/x/y", "qemu:///system"},
        {"qemu+ssh://root@host:22/system?command=/bin/ssh&netcat=nc&mode=legacy", "qemu:///system"},
        {"qemu+tcp://host/system?other=1&name=test:///default", "test:///default"},
        {"qemu+tcp://host/system?other=a%26b&socket=/x", "qemu:///system?other=a%26b"},
        {"xen+ssh://host/", "xen:///"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        scoped_arena struct arena *arena = arena_new();
        struct error err = {0};
        struct uri *uri = uri_parse(arena, cases[i][0], &err);
        assert_non_null(uri);
        assert_string_equal(uri_wire_name(arena, uri), cases[i][1]);
    }
}

static void refuses_with_the_place(void **state)
{
    static const char *const cases[][2] = {
        {"", "no scheme"},
        {"system", "no scheme"},
        {"tcp:host:4444", "no scheme"},
        {"qemu+://x/system", "both sides of '+'"},
        {"+tcp://x/system", "both sides of '+'"},
        {"qe mu:///system", "byte 2 is a blank"},
        {"qemu+tcp://host:99999/system", "'99999' at byte 16"},
        {"qemu+tcp://host:0/system", "port 0"},
        {"qemu+tcp://host:1a/system", "'1a'"},
        {"qemu+tcp://::1/system", "brackets"},
        {"qemu+tcp://[::1/system", "closed by ']'"},
        {"qemu+tcp://[::1]x/system", "closed by ']'"},
        {"qemu+tcp://@host/system", "no user"},
        {"qemu+tcp://:1/system", "without a host"},
        {"qemu:///system?a=%4", "at byte 17 '%'"},
        {"qemu:///system?a=%00", "at byte 17 '%'"},
        {"qemu:///system?a=%ff", "not UTF-8"},
        {"qemu:///system?=1", "without a name at byte 15"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        scoped_arena struct arena *arena = arena_new();
        struct error err = {0};
        assert_null(uri_parse(arena, cases[i][0], &err));
        assert_int_equal(err.code, ERR_INVALID_ARG);
        if (!strstr(err.message, cases[i][1]))
            fail_msg("'%s': %s", cases[i][0], err.message);
    }
}

static void chooses_the_transport(void **state)
{
    static const struct {
        const char *uri;
        int transport; /* -1 = refused */
        const char *message;
    } cases[] = {
        {"qemu:///system", URI_TRANSPORT_UNIX, NULL},
        {"qemu+unix:///system", URI_TRANSPORT_UNIX, NULL},
        {"qemu+tcp://h/system", URI_TRANSPORT_TCP, NULL},
        {"qemu+ssh://h/system?proxy=netcat&mode=legacy", URI_TRANSPORT_SSH, NULL},
        {"xen+ssh://h/", URI_TRANSPORT_SSH, NULL},
        {"qemu://h/system", -1, "means TLS"},
        {"qemu+libssh2://h/system", -1, "unix, tcp and ssh"},
        {"qemu+tcp:///system", -1, "needs a host"},
        {"qemu+unix://h/system", -1, "names the host 'h'"},
        {"qemu:///sistem", -1, "/system and /session"},
        {"qemu:///system?mode=best", -1, "auto, legacy and direct"},
        {"qemu+ssh://h/system?proxy=best", -1, "auto, native and netcat"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        scoped_arena struct arena *arena = arena_new();
        struct error err = {0};
        struct uri *uri = uri_parse(arena, cases[i].uri, &err);
        assert_non_null(uri);
        enum uri_transport transport = 99;
        int result = uri_connection_transport(uri, &transport, &err);
        if (cases[i].transport >= 0) {
            assert_int_equal(result, 0);
            assert_int_equal(transport, cases[i].transport);
        } else {
            assert_int_equal(result, -1);
            assert_non_null(strstr(err.message, cases[i].message));
        }
    }
}

static const char *ssh_line(struct arena *arena, const char *text, bool readonly)
{
    struct error err = {0};
    struct uri *uri = uri_parse(arena, text, &err);
    assert_non_null(uri);
    struct argv *argv = transport_ssh_argv(arena, uri, readonly, &err);
    if (!argv)
        return arena_strdup(arena, err.message);
    const char *line = argv->items[0];
    for (size_t i = 1; i < argv->count; i++)
        line = arena_printf(arena, "%s|%s", line, argv->items[i]);
    return line;
}

static void quotes_what_ssh_runs(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    const char *line = ssh_line(arena, "qemu+ssh://me@h:22/system?keyfile=/k&no_tty=1&no_verify=1&command=/x/ssh",
                                true);
    assert_true(string_starts(line, "/x/ssh|-p|22|-l|me|-i|/k|-T|-e|none|-o|BatchMode=yes|-o|StrictHostKeyChecking=no|"
                                    "--|h|sh -c '"));
    assert_non_null(strstr(line, "virt-ssh-helper -r"));
    assert_non_null(strstr(line, "/var/run/libvirt/libvirt-sock-ro"));
    line = ssh_line(arena, "qemu+ssh://h/system?socket=/a'%3Brm&netcat=/b%20c", false);
    assert_null(strstr(line, "virt-ssh-helper"));
    /* the path is quoted for the inner shell, and the whole once more for the login shell */
    assert_non_null(strstr(line, "nc='\\''/b c'\\''"));
    assert_non_null(strstr(line, "socket='\\''/a'\\''\\'\\'''\\'';rm'\\''; nc="));
    assert_non_null(strstr(ssh_line(arena, "qemu+ssh://h/session?proxy=netcat", false), "socket=PATH"));
    assert_null(strstr(ssh_line(arena, "qemu+ssh://h/session?proxy=native", false), "nc="));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_every_part),     cmocka_unit_test(names_on_the_wire),
        cmocka_unit_test(refuses_with_the_place), cmocka_unit_test(chooses_the_transport),
        cmocka_unit_test(quotes_what_ssh_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
