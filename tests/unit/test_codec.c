/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/codec.h"
#include "rpc/params.h"
#include "wire_tables.h"
#include "wire_types.h"

static struct arena *arena;
static struct error err;

static int set_up(void **state)
{
    arena = arena_new();
    err = (struct error){0};
    return 0;
}

static int tear_down(void **state)
{
    arena_free(arena);
    return 0;
}

static void assert_bytes(const struct text *text, const char *hex)
{
    scoped_text struct text actual = {0};
    for (size_t i = 0; i < text->length; i++)
        text_printf(&actual, "%02x", (uint8_t)text->data[i]);
    assert_string_equal(text_string(&actual), hex);
}

/* Encodes, decodes, encodes again: the bytes must agree. */
static void assert_round_trip(const struct wire_type *type, const void *value)
{
    scoped_text struct text first = {0}, second = {0};
    assert_int_equal(wire_encode(type, value, &first, &err), 0);
    void *decoded = arena_alloc(arena, type->size);
    assert_int_equal(wire_decode(type, first.data, first.length, arena, decoded, &err), 0);
    assert_int_equal(wire_encode(type, decoded, &second, &err), 0);
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.data, second.data, first.length);
    /* every cut must be noticed, and read nothing behind it */
    for (size_t length = 0; length < first.length; length++) {
        scoped_free char *cut = malloc(length ? length : 1);
        memcpy(cut, first.data, length);
        assert_int_equal(wire_decode(type, cut, length, arena, decoded, &err), -1);
    }
}

static void test_layout(void **state)
{
    scoped_text struct text out = {0};
    struct domain_get_info_ret info = {.state = 255, .max_mem = 0x0102030405060708, .nr_virt_cpu = 65535};
    assert_int_equal(wire_encode(&domain_get_info_ret_type, &info, &out, &err), 0);
    assert_bytes(&out, "000000ff" "0102030405060708" "0000000000000000" "0000ffff" "0000000000000000");

    text_clear(&out);
    struct storage_vol_get_info_ret vol = {.type = -2, .capacity = 1};
    assert_int_equal(wire_encode(&storage_vol_get_info_ret_type, &vol, &out, &err), 0);
    assert_bytes(&out, "fffffffe" "0000000000000001" "0000000000000000");

    text_clear(&out);
    struct connect_open_args open = {.name = "abcde", .flags = 1};
    assert_int_equal(wire_encode(&connect_open_args_type, &open, &out, &err), 0);
    assert_bytes(&out, "00000001" "00000005" "6162636465000000" "00000001");

    text_clear(&out);
    open.name = NULL;
    assert_int_equal(wire_encode(&connect_open_args_type, &open, &out, &err), 0);
    assert_bytes(&out, "00000000" "00000001");
}

static void test_round_trips(void **state)
{
    struct wire_domain domain = {.name = "guest", .uuid = {1, 2, 3}, .id = -1};
    assert_round_trip(&wire_domain_type, &domain);

    struct node_get_info_ret node = {.model = "x86_64", .memory = 1 << 20, .cpus = 2};
    assert_round_trip(&node_get_info_ret_type, &node);

    struct params params;
    params_init(&params, arena);
    params_add_i32(&params, "int", -5);
    params_add_u32(&params, "uint", UINT32_MAX);
    params_add_i64(&params, "llong", INT64_MIN);
    params_add_u64(&params, "ullong", UINT64_MAX);
    params_add_f64(&params, "double", 1.5);
    params_add_bool(&params, "boolean", true);
    params_add_string(&params, "string", "text");
    struct wire_domain_stats_record records[2] = {{domain, params.count, params.items}, {domain, 0, NULL}};
    struct connect_get_all_domain_stats_ret stats = {2, records};
    assert_round_trip(&connect_get_all_domain_stats_ret_type, &stats);

    struct wire_error error = {.code = 42, .message = "no", .dom = &domain};
    assert_round_trip(&wire_error_type, &error);

    const char *names[] = {"a", "", "ccc"};
    struct connect_list_networks_ret list = {3, names};
    assert_round_trip(&connect_list_networks_ret_type, &list);

    uint8_t map[] = {0xff, 1, 2};
    struct domain_pin_vcpu_args pin = {.dom = domain, .vcpu = 1, .cpumap_length = sizeof map, .cpumap = map};
    assert_round_trip(&domain_pin_vcpu_args_type, &pin);
}

static int decode_hex(const struct wire_type *type, const char *hex)
{
    size_t length = strlen(hex) / 2;
    uint8_t *bytes = arena_alloc(arena, length);
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        bytes[i] = (uint8_t)byte;
    }
    return wire_decode(type, bytes, length, arena, arena_alloc(arena, type->size), &err);
}

static void test_refusals(void **state)
{
    /* extra bytes behind a complete value are ignored */
    assert_int_equal(decode_hex(&domain_lookup_by_name_args_type, "00000001" "61000000" "ffffffff"), 0);
    /* a NUL in a string */
    assert_int_equal(decode_hex(&domain_lookup_by_name_args_type, "00000002" "61000000"), -1);
    assert_string_equal(err.message,
                        "cannot decode domain-lookup-by-name arguments: name: string with a NUL byte in it");
    assert_int_equal(err.code, ERR_RPC);
    /* what is no UTF-8: a stray byte, a surrogate, a cut character; and what is */
    static const char *const bad[] = {"00000002" "61ff0000", "00000003" "eda08000", "00000002" "e2820000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(decode_hex(&domain_lookup_by_name_args_type, bad[i]), -1);
        assert_string_equal(err.message,
                            "cannot decode domain-lookup-by-name arguments: name: string that is not valid UTF-8");
    }
    assert_int_equal(decode_hex(&domain_lookup_by_name_args_type, "00000003" "e282ac00"), 0);
    assert_int_equal(decode_hex(&domain_lookup_by_name_args_type, "ffffffff" "61000000"), -1);
    /* presence must be 0 or 1 */
    assert_int_equal(decode_hex(&connect_open_args_type, "00000002" "00000000" "00000000"), -1);
    /* counts: above the maximum, and above what the rest can hold */
    assert_int_equal(decode_hex(&connect_baseline_cpu_args_type, "00000101"), -1);
    assert_non_null(strstr(err.message, "257 elements; at most 256"));
    assert_int_equal(decode_hex(&connect_baseline_cpu_args_type, "00000100" "00000000"), -1);
    assert_non_null(strstr(err.message, "needs 1024 bytes"));
    /* an unknown union tag */
    assert_int_equal(decode_hex(&node_set_memory_parameters_args_type, "00000001" "00000001" "61000000" "00000008"
                                                                       "00000000" "00000000"), -1);
    assert_non_null(strstr(err.message, "params: [0]: value: unknown typed-param-value 8"));
}

static void test_encoding_refusals(void **state)
{
    scoped_text struct text out = {0};
    text_append(&out, "before");
    struct domain_lookup_by_name_args lookup = {.name = NULL};
    assert_int_equal(wire_encode(&domain_lookup_by_name_args_type, &lookup, &out, &err), -1);
    assert_string_equal(err.message,
                        "cannot encode domain-lookup-by-name arguments: name: a required string is missing");
    assert_int_equal(out.length, strlen("before"));
    struct connect_list_networks_ret list = {16385, NULL};
    assert_int_equal(wire_encode(&connect_list_networks_ret_type, &list, &out, &err), -1);
    list.names_count = 1;
    assert_int_equal(wire_encode(&connect_list_networks_ret_type, &list, &out, &err), -1);
    struct wire_typed_param bad = {"field", {.type = 99}};
    assert_int_equal(wire_encode(&wire_typed_param_type, &bad, &out, &err), -1);
    assert_int_equal(out.length, strlen("before"));
}

static void test_procedures(void **state)
{
    const struct wire_procedure *info = wire_procedure_find(&program_remote, PROC_DOMAIN_GET_INFO);
    assert_string_equal(info->name, "domain-get-info");
    assert_false(info->flags & WIRE_WRITES);
    assert_null(wire_procedure_find(&program_remote, 0));
    assert_null(wire_procedure_find(&program_remote, 444));
    assert_non_null(wire_procedure_find(&program_remote, 443));

    const struct wire_procedure *xml = wire_procedure_find(&program_remote, PROC_DOMAIN_GET_XML_DESC);
    struct domain_get_xml_desc_args args = {.flags = 2};
    assert_false(wire_condition_holds(&xml->writes_when, &args));
    args.flags = 8;
    assert_true(wire_condition_holds(&xml->writes_when, &args));

    const struct wire_procedure *set = wire_procedure_find(&program_remote, PROC_DOMAIN_SET_VCPUS_FLAGS);
    struct domain_set_vcpus_flags_args vcpus = {.flags = 1};
    assert_string_equal(set->access[1].permission, "save");
    assert_false(wire_condition_holds(&set->access[1].when, &vcpus));
    vcpus.flags = 4;
    assert_true(wire_condition_holds(&set->access[1].when, &vcpus));

    const struct wire_procedure *event = wire_procedure_find(&program_remote, PROC_DOMAIN_EVENT_CALLBACK_REBOOT);
    assert_string_equal(event->event_class, "domain");
    assert_int_equal(event->event_id, 1);
    const struct wire_procedure *download = wire_procedure_find(&program_remote, PROC_STORAGE_VOL_DOWNLOAD);
    assert_int_equal(download->sparse, 1);
    assert_true(download->flags & WIRE_STREAM_READ && !(download->flags & WIRE_STREAM_WRITE));
}

static void test_params(void **state)
{
    static const struct param_rule rules[] = {
        {"a", TYPED_PARAM_INT}, {"b", TYPED_PARAM_STRING, true}, {"c", TYPED_PARAM_ULLONG}, {0}};
    struct params params;
    params_init(&params, arena);
    params_add_i32(&params, "a", -1);
    params_add_string(&params, "b", "x");
    params_add_string(&params, "b", "y");
    params_add_string(&params, "absent", NULL);
    params_add_u64(&params, "c", UINT64_C(1) << 40);
    assert_int_equal(params_check(params.items, params.count, rules, &err), 0);

    int32_t narrow = 7;
    uint32_t word = 7;
    int64_t wide;
    uint64_t big;
    const char *string;
    assert_int_equal(params_get_i64(params.items, params.count, "a", &wide, &err), 1);
    assert_int_equal(wide, -1);
    assert_int_equal(params_get_u32(params.items, params.count, "a", &word, &err), -1);
    assert_int_equal(params_get_i32(params.items, params.count, "c", &narrow, &err), -1);
    assert_int_equal(narrow, 7);
    assert_int_equal(params_get_u64(params.items, params.count, "c", &big, &err), 1);
    assert_true(big == UINT64_C(1) << 40);
    assert_int_equal(params_get_i32(params.items, params.count, "none", &narrow, &err), 0);
    assert_int_equal(params_get_u64(params.items, params.count, "b", &big, &err), -1);
    assert_string_equal(err.message, "parameter 'b' has type string; it must be unsigned long long");
    assert_int_equal(params_get_string(params.items, params.count, "b", &string, &err), 1);
    assert_string_equal(string, "x");
    assert_string_equal(params_nth(params.items, params.count, "b", 1)->value.s, "y");
    assert_null(params_nth(params.items, params.count, "b", 2));

    params_add_i32(&params, "a", 2);
    assert_int_equal(params_check(params.items, params.count, rules, &err), -1);
    assert_string_equal(err.message, "parameter 'a' was given twice");
    params.items[params.count - 1].field = "d";
    assert_int_equal(params_check(params.items, params.count, rules, &err), -1);
    assert_string_equal(err.message, "parameter 'd' is not known here; known are: a, b, c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_layout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_round_trips, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_encoding_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_procedures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_params, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
