/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/text.h"
#include "convert/source.h"
#include "convert/xl_syntax.h"
#include "model/xml.h"

/* tests/convert/cases: NAME.xml and NAME.cfg are guests of Xen, NAME.out.xml what they become, NAME.out.txt what the
 * report says. GODWIT_WRITE_CASES=1 writes the results anew, to be read before they are committed. */

static struct error err;

static char *case_path(struct arena *arena, const char *name, const char *end)
{
    return arena_printf(arena, CASES "/%.*s%s", (int)strcspn(name, "."), name, end);
}

static void report_write(struct text *out, struct arena *arena, const struct report *report)
{
    for (size_t i = 0; i < report->changes.count; i++)
        text_printf(out, "%s\n", remark_line(arena, &report->changes.item[i]));
    for (size_t i = 0; i < report->left.count; i++)
        text_printf(out, "left to do: %s\n", remark_line(arena, &report->left.item[i]));
}

static void compare(const char *path, const char *found)
{
    scoped_arena struct arena *arena = arena_new();
    if (getenv("GODWIT_WRITE_CASES")) {
        assert_int_equal(file_write(path, found, strlen(found), 0644, &err), 0);
        return;
    }
    char *expected = file_read(arena, path, XML_SIZE_MAX, NULL, &err);
    if (!expected || strcmp(expected, found) != 0)
        fail_msg("%s should be:\n%s\nand is:\n%s", path, expected ? expected : err.message, found);
}

static int case_check(void *owner, const char *name, struct error *unused)
{
    scoped_arena struct arena *arena = arena_new();
    bool xl = string_ends(name, ".cfg");
    if (!xl && (!string_ends(name, ".xml") || string_ends(name, ".out.xml")))
        return 0;
    size_t length;
    char *text = file_read(arena, arena_printf(arena, CASES "/%s", name), XML_SIZE_MAX, &length, &err);
    struct report report = {.arena = arena};
    scoped_domain_def struct domain_def *source =
        source_read(xl ? SOURCE_FORMAT_XL : SOURCE_FORMAT_LIBVIRT_XML, text, length, &report, &err);
    if (!source)
        fail_msg("%s: %s", name, err.message);
    scoped_free char *before = domain_format(source, DOMAIN_XML_SECURE);
    struct rules_options options = {.type = VIRT_TYPE_KVM};
    scoped_domain_def struct domain_def *converted = source_convert(source, &options, &report, &err);
    if (!converted)
        fail_msg("%s: %s", name, err.message);
    scoped_free char *xml = domain_format(converted, DOMAIN_XML_SECURE);
    scoped_free char *after = domain_format(source, DOMAIN_XML_SECURE);
    assert_string_equal(before, after); /* the source's definition is not touched */
    scoped_text struct text remarks = {0};
    report_write(&remarks, arena, &report);
    compare(case_path(arena, name, ".out.xml"), xml);
    compare(case_path(arena, name, ".out.txt"), text_string(&remarks));
    ++*(unsigned *)owner;
    return 0;
}

static void test_cases(void **state)
{
    unsigned cases = 0;
    assert_int_equal(directory_list(CASES, case_check, &cases, &err), 0);
    assert_true(cases >= 40);
}

/* What is converted once has nothing left that a rule changes. */
static int again_check(void *owner, const char *name, struct error *unused)
{
    scoped_arena struct arena *arena = arena_new();
    if (!string_ends(name, ".out.xml"))
        return 0;
    size_t length;
    char *text = file_read(arena, arena_printf(arena, CASES "/%s", name), XML_SIZE_MAX, &length, &err);
    struct report report = {.arena = arena};
    scoped_domain_def struct domain_def *source = source_read(SOURCE_FORMAT_LIBVIRT_XML, text, length, &report, &err);
    struct rules_options options = {.type = VIRT_TYPE_KVM};
    assert_non_null(source);
    scoped_domain_def struct domain_def *converted = source_convert(source, &options, &report, &err);
    assert_non_null(converted);
    for (size_t i = 0; i < report.changes.count; i++)
        fail_msg("%s: %s", name, remark_line(arena, &report.changes.item[i]));
    return 0;
}

static void test_again(void **state)
{
    assert_int_equal(directory_list(CASES, again_check, NULL, &err), 0);
}

static void test_syntax_errors(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"name = 'x'\nimport os\n", "line 2: '=' is expected after the first word, but there stands 'import'"},
        {"name = 'x\n'", "line 1: the string that begins here has no closing '"},
        {"name = os.path", "line 1: a value is expected (a string, a number or a list), but there stands 'os.path'"},
        {"name = 'a' + 'b'", "line 1: the end of the line is expected after the value, but there stands '+'"},
        {"disk = [ 'a' 'b'\n, 3 4 ]", "line 2: a list goes on with ',' or ends with ']', but there stands '4'"},
        {"a = [[[[[1]]]]]", "line 1: lists are nested too deeply here"},
        {"disk = [ 'a',", "line 1: a value is expected"},
        {"def f():\n", "line 1: '=' is expected after the first word, but there stands 'def'"},
        {"= 3", "line 1: the name of a setting is expected, but there stands '='"},
        {"name = 'a\\x01b'", "line 1: the string has control characters"},
        {"memory += 3", "line 1: 'memory' has nothing of that kind before"},
        {"if x == 3:\n", "line 1: '=' is expected"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        scoped_arena struct arena *arena = arena_new();
        assert_null(xl_parse(arena, rows[i].text, strlen(rows[i].text), &err));
        assert_int_equal(err.code, ERR_CONF_SYNTAX);
        assert_true(string_starts(err.message, rows[i].message) || (print_message("%s\n", err.message), false));
    }
}

/* Wherever it stands: what follows would be read as if it were not there, or not at all. */
static void test_nul(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        const char *line;
    } rows[] = {
        {"name = 'x'\nmemory = 1\n\0disk = []\n", 33, "line 3: "},
        {"name = 'x\0'", 11, "line 1: "},
        {"name = 'x'\n# \0\n", 15, "line 2: "},
        {"name = 'x'\n\\\0", 13, "line 2: "},
        {"\0", 1, "line 1: "},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        scoped_arena struct arena *arena = arena_new();
        assert_null(xl_parse(arena, rows[i].text, rows[i].length, &err));
        assert_int_equal(err.code, ERR_CONF_SYNTAX);
        assert_true(string_starts(err.message, rows[i].line) || (print_message("%s\n", err.message), false));
        assert_non_null(strstr(err.message, "NUL"));
    }
}

static void test_bad_settings(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "the configuration has no name = '...'"},
        {"name='x'", "domain 'x' has no memory"},
        {"name='x'\nmemory='much'", "line 2: setting 'memory': 'much' is no number"},
        {"name=['x']", "line 1: setting 'name': a list stands where a string belongs"},
        {"name='x'\ntype='lxc'", "line 2: setting 'type': 'lxc' is not known; it is hvm, pvh or pv"},
        {"name='x'\nmemory=1\nuuid='1'", "line 3: setting 'uuid': '1' is no UUID"},
        {"name='x'\nmemory=1\ndisk=['/a,weird,xvda,w']", "line 3: setting 'disk': '/a,weird,xvda,w': format 'weird'"},
        {"name='x'\nmemory=1\ndisk=['/a,raw,xvda,x']", "line 3: setting 'disk': '/a,raw,xvda,x': access 'x'"},
        {"name='x'\nmemory=1\ndisk=['/a']", "line 3: setting 'disk': '/a': it does not say which device"},
        {"name='x'\nmemory=1\ndisk=['/a,raw,xvda,w,5']", "line 3: setting 'disk': '/a,raw,xvda,w,5': there is no use"},
        {"name='x'\nmemory=1\ndisk=[\n['/a']]", "line 4: setting 'disk': a disk is described by a string"},
        {"name='x'\nmemory=1\nvif=['mac=1']", "line 3: setting 'vif': '1' is no unicast MAC address"},
        {"name='x'\nmemory=1\npci=['x']", "line 3: setting 'pci': 'x' is no PCI address"},
        {"name='x'\nmemory=1\non_crash='explode'", "line 3: setting 'on_crash': 'explode' is not known"},
        {"name='x'\nmemory=1\ntype='hvm'\nboot='x'", "line 4: setting 'boot': 'x' is no order"},
        {"name='x'\nmemory=1\ntype='hvm'\nserial='foo:'", "line 4: setting 'serial': 'foo:' cannot be read"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        scoped_arena struct arena *arena = arena_new();
        struct report report = {.arena = arena};
        assert_null(source_read(SOURCE_FORMAT_XL, rows[i].text, strlen(rows[i].text), &report, &err));
        assert_true(strstr(err.message, rows[i].message) || (print_message("%s\n", err.message), false));
    }
}

static void test_network_map(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct network_map map = {.arena = arena};
    static const char file[] = "<virt-v2v><!-- <network type='bridge' name='br9'/> -->\n"
                               "<network type='bridge' name='br0'><network type='network' name='default'/></network>\n"
                               "<network type='network' name='lan'><network type='bridge' name='br7'/></network>"
                               "<profile name='x'/></virt-v2v>";
    assert_int_equal(network_map_add_mac(&map, "00:16:3e:00:00:01:bridge:br1", &err), 0);
    assert_int_equal(network_map_add(&map, NETWORK_KIND_BRIDGE, "xenbr0:br2", &err), 0);
    assert_int_equal(network_map_read(&map, file, sizeof file - 1, &err), 0);
    struct interface interface = {.type = INTERFACE_TYPE_BRIDGE, .bridge = "xenbr0",
                                  .mac = {{0, 0x16, 0x3e, 0, 0, 1}, true}};
    assert_string_equal(network_map_find(&map, &interface)->to_name, "br1");
    interface.mac.byte[5] = 2;
    assert_string_equal(network_map_find(&map, &interface)->to_name, "br2");
    interface.bridge = "br0";
    assert_string_equal(network_map_find(&map, &interface)->to_name, "default");
    interface.bridge = "lan";
    assert_null(network_map_find(&map, &interface));
    interface = (struct interface){.type = INTERFACE_TYPE_NETWORK, .network = "lan"};
    assert_string_equal(network_map_find(&map, &interface)->to_name, "br7");
    assert_int_equal(network_map_add(&map, NETWORK_KIND_NETWORK, "all", &err), 0);
    assert_string_equal(network_map_find(&map, &interface)->to_name, "br7");
    interface.network = "other";
    assert_string_equal(network_map_find(&map, &interface)->to_name, "all");
}

static void test_network_map_errors(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct network_map map = {.arena = arena};
    static const char lonely[] = "<virt-v2v><network type='bridge' name='br0'/></virt-v2v>";
    assert_int_equal(network_map_add(&map, NETWORK_KIND_BRIDGE, "a:", &err), -1);
    assert_int_equal(network_map_add(&map, NETWORK_KIND_BRIDGE, ":b", &err), -1);
    assert_int_equal(network_map_add(&map, NETWORK_KIND_BRIDGE, "", &err), -1);
    assert_int_equal(network_map_add_mac(&map, "00:16:3e:00:00:01", &err), -1);
    assert_int_equal(network_map_add_mac(&map, "00:16:3e:00:00:01:card:x", &err), -1);
    assert_int_equal(network_map_read(&map, lonely, sizeof lonely - 1, &err), -1);
    assert_non_null(strstr(err.message, "a <network> maps one by"));
    assert_int_equal(network_map_read(&map, "<x/>", 4, &err), -1);
    assert_int_equal(map.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),          cmocka_unit_test(test_again),
        cmocka_unit_test(test_syntax_errors),  cmocka_unit_test(test_nul),
        cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_network_map),    cmocka_unit_test(test_network_map_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
