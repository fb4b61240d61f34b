/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "migrate/cookie.h"
#include "migrate/job_info.h"
#include "migrate/journal.h"
#include "migrate/options.h"

static struct wire_typed_param text_param(const char *field, const char *value)
{
    return (struct wire_typed_param){field, {.type = TYPED_PARAM_STRING, .s = value}};
}

static struct wire_typed_param number_param(const char *field, uint64_t value)
{
    return (struct wire_typed_param){field, {.type = TYPED_PARAM_ULLONG, .ul = value}};
}

static struct wire_typed_param int_param(const char *field, int32_t value)
{
    return (struct wire_typed_param){field, {.type = TYPED_PARAM_INT, .i = value}};
}

/* -- options ------------------------------------------------------------------------------------------------------- */

static void options_are_read_and_written_again(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    const struct wire_typed_param given[] = {
        text_param(MIGRATE_PARAM_URI, "tcp:host:49152"),    text_param(MIGRATE_PARAM_DEST_NAME, "moved"),
        number_param(MIGRATE_PARAM_BANDWIDTH, 17),          int_param(MIGRATE_PARAM_PARALLEL_CONNECTIONS, 4),
        int_param(MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, 30), text_param(MIGRATE_PARAM_COMPRESSION, "zstd"),
    };
    const uint32_t flags = MIGRATE_LIVE | MIGRATE_PARALLEL | MIGRATE_AUTO_CONVERGE | MIGRATE_COMPRESSED;
    struct migrate_options options, again;
    assert_int_equal(migrate_options_read(&options, given, COUNT(given), flags, arena, &err), 0);
    assert_string_equal(options.uri, "tcp:host:49152");
    assert_int_equal(options.bandwidth_mib, 17);
    struct params params;
    params_init(&params, arena);
    migrate_options_write(&options, &params);
    assert_int_equal(migrate_options_read(&again, params.items, params.count, flags, arena, &err), 0);
    assert_string_equal(again.dname, "moved");
    assert_int_equal(again.connections, 4);
    assert_int_equal(again.throttle_initial, 30);
    assert_int_equal(again.methods, options.methods);
    assert_int_not_equal(again.methods, 0);
    assert_int_equal(again.flags, flags);
}

static void refused_options_are_named(void **state)
{
    static const struct {
        uint64_t flags;
        struct wire_typed_param param;
        int code;
        const char *words;
    } cases[] = {
        {MIGRATE_TUNNELLED, {0}, ERR_ARGUMENT_UNSUPPORTED, "--tunnelled needs --p2p"},
        {MIGRATE_TUNNELLED | MIGRATE_PEER2PEER | MIGRATE_TLS, {0}, ERR_ARGUMENT_UNSUPPORTED, "--tls"},
        {MIGRATE_NON_SHARED_DISK | MIGRATE_NON_SHARED_INC, {0}, ERR_INVALID_ARG, "exclude each other"},
        {MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES, {0}, ERR_INVALID_ARG, "--copy-storage-all"},
        {MIGRATE_POSTCOPY | MIGRATE_PARALLEL, {0}, ERR_ARGUMENT_UNSUPPORTED, "--postcopy"},
        {MIGRATE_POSTCOPY_RESUME, {0}, ERR_INVALID_ARG, "--postcopy-resume needs --postcopy"},
        {MIGRATE_ZEROCOPY, {0}, ERR_INVALID_ARG, "--zerocopy needs --parallel"},
        {MIGRATE_RDMA_PIN_ALL, {0}, ERR_ARGUMENT_UNSUPPORTED, "--rdma-pin-all"},
        {UINT64_C(1) << 40, {0}, ERR_INVALID_ARG, "unknown migration flags"},
        {0, {"disks_port", {.type = TYPED_PARAM_INT, .i = 1}}, ERR_INVALID_ARG, "--disks-port"},
        {0, {"bandwidth", {.type = TYPED_PARAM_ULLONG, .ul = UINT64_MAX}}, ERR_INVALID_ARG, "--bandwidth"},
        {MIGRATE_PARALLEL, {"parallel.connections", {.type = TYPED_PARAM_INT, .i = 256}}, ERR_INVALID_ARG, "255"},
        {MIGRATE_PARALLEL, {"parallel.connections", {.type = TYPED_PARAM_INT, .i = -1}}, ERR_INVALID_ARG, "connect"},
        {0, {"parallel.connections", {.type = TYPED_PARAM_INT, .i = 2}}, ERR_INVALID_ARG, "--parallel"},
        {MIGRATE_COMPRESSED, {"compression", {.type = TYPED_PARAM_STRING, .s = "zstd"}}, ERR_ARGUMENT_UNSUPPORTED,
         "zstd"},
        {0, {"bandwidth", {.type = TYPED_PARAM_STRING, .s = "1"}}, ERR_INVALID_ARG, "bandwidth"},
        {0, {"nonsense", {.type = TYPED_PARAM_INT, .i = 1}}, ERR_INVALID_ARG, "nonsense"},
        {0, {"destination_name", {.type = TYPED_PARAM_STRING, .s = "a/b"}}, ERR_INVALID_ARG, "--dname"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        scoped_arena struct arena *arena = arena_new();
        struct error err = {0};
        struct migrate_options options;
        assert_int_equal(migrate_options_read(&options, &cases[i].param, cases[i].param.field ? 1 : 0, cases[i].flags,
                                              arena, &err), -1);
        if (err.code != cases[i].code || !strstr(err.message, cases[i].words))
            fail_msg("case %zu: code %d: %s", i, err.code, err.message);
    }
}

/* -- cookies ------------------------------------------------------------------------------------------------------- */

static struct migrate_blob blob_of(const char *text)
{
    return (struct migrate_blob){(uint8_t *)text, (uint32_t)strlen(text) + 1};
}

static void cookie_comes_back(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    const char *caps[] = {"events", "return-path"};
    struct migrate_cookie cookie = {.name = "a <guest> & more", .hostname = "host-a", .uuid = {1}, .host_uuid = {2},
                                    .has_capabilities = true, .capabilities = caps, .capability_count = 2,
                                    .persistent_xml = "<domain type=\"qemu\"><name>x</name></domain>",
                                    .has_statistics = true, .started_ms = 1000, .stopped_ms = 2000, .sent_ms = 2010,
                                    .delta_ms = -5};
    cookie.info = (struct job_info){.memory_total = 268435456, .iteration = 3, .has_downtime = true, .downtime_ms = 12};
    struct migrate_blob blob = migrate_cookie_write(&cookie, arena);
    struct migrate_cookie again;
    assert_int_equal(migrate_cookie_read(&again, &blob, arena, &err), 0);
    assert_string_equal(again.name, cookie.name);
    assert_memory_equal(again.uuid, cookie.uuid, UUID_SIZE);
    assert_memory_equal(again.host_uuid, cookie.host_uuid, UUID_SIZE);
    assert_true(migrate_cookie_can(&again, "return-path"));
    assert_false(migrate_cookie_can(&again, "multifd"));
    assert_string_equal(again.persistent_xml, cookie.persistent_xml);
    assert_int_equal(again.stopped_ms, 2000);
    assert_int_equal(again.delta_ms, -5);
    assert_int_equal(again.info.memory_total, 268435456);
    assert_int_equal(again.info.iteration, 3);
    assert_true(again.info.has_downtime);
    assert_int_equal(again.info.downtime_ms, 12);
}

#define HEAD "<qemu-migration><name>g</name><uuid>00000000-0000-0000-0000-000000000001</uuid><hostname>h</hostname>" \
             "<hostuuid>00000000-0000-0000-0000-000000000002</hostuuid>"

/* What libvirtd sends and we do not use is skipped. */
static void libvirt_cookie_is_understood(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    struct migrate_cookie cookie;
    struct migrate_blob blob = blob_of(
        HEAD "<graphics type='spice' port='5900' listen='::' tlsPort='-1'><cert info='subject' value='C=x'/></graphics>"
             "<feature name='lockstate'/><feature name='persistent'/>"
             "<lockstate driver='nop'/><network>"
             "<interface index='0' vporttype='none'/></network><nbd port='1'><disk target='vda' capacity='5'/></nbd>"
             "<cpu mode='custom'/>"
             "<allowReboot value='yes'/>"
             "<capabilities><cap name='xbzrle' auto='no'/>"
             "<cap name='pause-before-switchover' auto='yes'/></capabilities>"
             "<statistics><started>7</started><memory_total>99</memory_total><memory_normal>no</memory_normal>"
             "<unheard>1</unheard></statistics></qemu-migration>");
    assert_int_equal(migrate_cookie_read(&cookie, &blob, arena, &err), 0);
    assert_true(migrate_cookie_can(&cookie, "pause-before-switchover"));
    assert_int_equal(cookie.started_ms, 7);
    assert_int_equal(cookie.info.memory_total, 99);
    assert_int_equal(cookie.info.normal, 0);
    assert_null(cookie.persistent_xml);
}

static void bad_cookies_are_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "cookie"},
        {"<qemu-migration>", "cookie"},
        {"<other/>", "cookie"},
        {"<qemu-migration/>", "<name>"},
        {"<qemu-migration><name>g</name><hostname>h</hostname><uuid>1</uuid></qemu-migration>", "<uuid>"},
        {"<qemu-migration><name>g</name><hostname>h</hostname>"
         "<uuid>00000000-0000-0000-0000-000000000001</uuid></qemu-migration>", "<hostuuid>"},
        {HEAD "<feature name='lockstate'/><lockstate driver='sanlock'/></qemu-migration>", "lockstate"},
        {HEAD "<feature/></qemu-migration>", "feature"},
        {HEAD "<capabilities><cap/></capabilities></qemu-migration>", "without name"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        scoped_arena struct arena *arena = arena_new();
        struct error err = {0};
        struct migrate_cookie cookie;
        struct migrate_blob blob = blob_of(cases[i].text);
        assert_int_equal(migrate_cookie_read(&cookie, &blob, arena, &err), -1);
        if (!strstr(err.message, cases[i].words))
            fail_msg("case %zu: %s", i, err.message);
    }
}

static void unterminated_and_long_cookies_are_refused(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    struct migrate_cookie cookie;
    struct migrate_blob open = {(uint8_t *)(uintptr_t)HEAD, 10};
    assert_int_equal(migrate_cookie_read(&cookie, &open, arena, &err), -1);
    struct migrate_blob large = {arena_alloc(arena, MIGRATE_COOKIE_MAX + 1), MIGRATE_COOKIE_MAX + 1};
    assert_int_equal(migrate_cookie_read(&cookie, &large, arena, &err), -1);
    scoped_text struct text many = {0};
    text_append(&many, HEAD "<capabilities>");
    for (int i = 0; i < 1000; i++)
        text_printf(&many, "<cap name='c%d'/>", i);
    text_append(&many, "</capabilities></qemu-migration>");
    struct migrate_blob crowd = blob_of(text_string(&many));
    assert_int_equal(migrate_cookie_read(&cookie, &crowd, arena, &err), -1);
    struct migrate_blob none = {0};
    assert_int_equal(migrate_cookie_read(&cookie, &none, arena, &err), 0);
    assert_null(cookie.name);
}

/* -- figures ------------------------------------------------------------------------------------------------------- */

static void figures_are_taken_from_qemu(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct job_info info = {.type = DOMAIN_JOB_UNBOUNDED, .operation = DOMAIN_JOB_OPERATION_MIGRATION_OUT};
    scoped_json json_t *reply = json_loads(
        "{\"status\": \"active\", \"expected-downtime\": 300, \"setup-time\": 2, \"ram\": {\"total\": 1000000, "
        "\"transferred\": 4000, \"remaining\": 500000, \"duplicate\": 3, \"normal\": 4, \"normal-bytes\": 16384, "
        "\"dirty-pages-rate\": 9, \"dirty-sync-count\": 2, \"page-size\": 4096, \"postcopy-requests\": 0, "
        "\"mbps\": 8.0}, "
        "\"xbzrle-cache\": {\"cache-size\": 64, \"bytes\": 1, \"pages\": 2, \"cache-miss\": 3, \"overflow\": 4}}",
        0, NULL);
    job_info_update(&info, reply);
    assert_int_equal(info.memory_bps, 1000000);
    assert_int_equal(info.remaining_ms, 500);
    struct params params;
    params_init(&params, arena);
    job_info_params(&info, &params);
    static const struct {
        const char *name;
        uint64_t value;
    } expected[] = {{"data_total", 1000000}, {"memory_remaining", 500000}, {"memory_constant", 3}, {"downtime", 300},
                    {"compression_cache", 64}, {"compression_overflow", 4}, {"time_remaining", 500}};
    for (size_t i = 0; i < COUNT(expected); i++) {
        const struct wire_typed_param *found = params_find(params.items, params.count, expected[i].name);
        if (!found || found->value.ul != expected[i].value)
            fail_msg("%s: %llu", expected[i].name, found ? (unsigned long long)found->value.ul : 0);
    }
    assert_true(params.count <= 64);
    struct job_info nothing = {0};
    job_info_update(&nothing, NULL);
    assert_false(nothing.has_downtime);
}

/* -- journal ------------------------------------------------------------------------------------------------------- */

/* A host that took many guests has an entry of each for days, and any of them may be the one that matters. */
static void every_entry_is_seen(void **state)
{
    enum { ENTRIES = 1500 };
    scoped_arena struct arena *arena = arena_new();
    char directory[] = "/tmp/godwit-journal-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct driver driver = {.migrations_dir = directory};
    struct journal_entry *entries;
    for (int i = 0; i < ENTRIES; i++) {
        FILE *out = fopen(arena_printf(arena, "%s/00000000-0000-4000-8000-%012x.json", directory, i), "w");
        assert_non_null(out);
        fprintf(out, "{\"version\": 1, \"uuid\": \"10000000-0000-4000-8000-%012x\", \"name\": \"g\", "
                "\"role\": \"destination\", \"owner\": \"destination\", \"shared\": true, \"paused\": false, "
                "\"undefine\": false, \"since-ms\": %lld, \"peer\": \"\"}", i, i % 2 ? 1LL : 1LL << 60);
        assert_int_equal(fclose(out), 0);
    }
    assert_int_equal(journal_list(&driver, &entries, arena), ENTRIES);
    unsigned old = 0;
    for (int i = 0; i < ENTRIES; i++) {
        assert_int_equal(entries[i].uuid[0], 0x10);
        assert_int_equal(entries[i].uuid[14] << 8 | entries[i].uuid[15], i);
        old += journal_is_old(&entries[i]);
        unlink(arena_printf(arena, "%s/00000000-0000-4000-8000-%012x.json", directory, i));
    }
    assert_int_equal(old, ENTRIES / 2);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read_and_written_again),
        cmocka_unit_test(refused_options_are_named),
        cmocka_unit_test(cookie_comes_back),
        cmocka_unit_test(libvirt_cookie_is_understood),
        cmocka_unit_test(bad_cookies_are_refused),
        cmocka_unit_test(unterminated_and_long_cookies_are_refused),
        cmocka_unit_test(figures_are_taken_from_qemu),
        cmocka_unit_test(every_entry_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
