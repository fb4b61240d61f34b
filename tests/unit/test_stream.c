/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams of src/rpc, both ends. */
#include "server_fixture.h"

#include <string.h>

#include "handlers.h"

static uint64_t stream_bytes;
static struct stream *console;

/* -- handlers ------------------------------------------------------------------------------------------------------ */

static void download(void *argument)
{
    struct stream *stream = argument;
    struct error err;
    static char block[300000];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 40; i++)
        assert_int_equal(stream_send(stream, block, sizeof block, WAIT, &err), 0);
    stream_send_hole(stream, 1000, WAIT, &err);
    assert_int_equal(stream_finish(stream, WAIT, &err), 0);
    stream_free(stream);
}

int handle_storage_vol_download(struct call *call, const struct storage_vol_download_args *args, struct error *err)
{
    struct stream *stream = call_open_stream(call, err);
    if (!stream)
        return -1;
    fiber_start("download", download, stream);
    return 0;
}

static void upload(void *argument)
{
    struct stream *stream = argument;
    struct error err = {0};
    char block[65536];
    ssize_t got;
    int64_t hole;
    while ((got = stream_receive(stream, block, sizeof block, &hole, WAIT, &err)) > 0 || hole)
        stream_bytes += (uint64_t)got + (uint64_t)hole;
    if (got == 0 && stream_bytes == 13)
        stream_fail(stream, &(struct error){ERR_OPERATION_FAILED, "no unlucky numbers"});
    else if (got == 0)
        assert_int_equal(stream_finish(stream, WAIT, &err), 0);
    stream_free(stream);
}

int handle_storage_vol_upload(struct call *call, const struct storage_vol_upload_args *args, struct error *err)
{
    stream_bytes = 0;
    struct stream *stream = call_open_stream(call, err);
    if (!stream)
        return -1;
    fiber_start("upload", upload, stream);
    return 0;
}

static void echo(void *argument)
{
    console = argument;
    char block[1000];
    ssize_t got;
    while ((got = stream_receive(console, block, sizeof block, NULL, DEADLINE_NONE, NULL)) > 0)
        stream_send(console, block, (size_t)got, WAIT, NULL);
    if (got == 0)
        stream_finish(console, WAIT, NULL);
    stream_free(steal(console));
}

int handle_domain_open_console(struct call *call, const struct domain_open_console_args *args, struct error *err)
{
    struct stream *stream = call_open_stream(call, err);
    if (!stream)
        return -1;
    if (args->dev_name) {
        stream_free(stream);
        return error_set(err, ERR_INVALID_ARG, "no device '%s'", args->dev_name);
    }
    fiber_start("echo", echo, stream);
    return 0;
}

/* -- tests --------------------------------------------------------------------------------------------------------- */

static void downloads(void)
{
    struct error err;
    struct stream *stream;
    static char block[100000];
    for (uint32_t sparse = 0; sparse < 2; sparse++) {
        struct storage_vol_download_args args = {.vol = {"pool", "vol", "key"}, .flags = sparse};
        assert_int_equal(remote_storage_vol_download(client, &args, &stream, &err), 0);
        nap(30); /* it is far ahead of us, but not without bounds */
        uint64_t data = 0, holes = 0;
        ssize_t got;
        int64_t hole;
        while ((got = stream_receive(stream, block, sizeof block, &hole, WAIT, &err)) > 0 || hole) {
            data += (uint64_t)got;
            holes += (uint64_t)hole;
        }
        assert_int_equal(got, 0);
        assert_int_equal(data, 40 * 300000 + (sparse ? 0 : 1000));
        assert_int_equal(holes, sparse ? 1000 : 0);
        assert_int_equal(stream_finish(stream, WAIT, &err), 0);
        stream_free(stream);
    }
}

static void test_download(void **state)
{
    run((struct scenario){downloads});
}

static void uploads(void)
{
    struct error err;
    struct stream *stream;
    static char block[5000000];
    struct storage_vol_upload_args args = {.vol = {"pool", "vol", "key"}, .flags = 1};
    assert_int_equal(remote_storage_vol_upload(client, &args, &stream, &err), 0);
    assert_int_equal(stream_send(stream, block, sizeof block, WAIT, &err), 0);
    assert_int_equal(stream_send_hole(stream, 1 << 20, WAIT, &err), 0);
    assert_int_equal(stream_finish(stream, WAIT, &err), 0);
    assert_int_equal(stream_bytes, sizeof block + (1 << 20));
    stream_free(stream);

    /* the server refuses at the end */
    assert_int_equal(remote_storage_vol_upload(client, &args, &stream, &err), 0);
    assert_int_equal(stream_send(stream, block, 13, WAIT, &err), 0);
    assert_int_equal(stream_finish(stream, WAIT, &err), -1);
    assert_string_equal(err.message, "no unlucky numbers");
    stream_free(stream);

    /* given up in the middle */
    assert_int_equal(remote_storage_vol_upload(client, &args, &stream, &err), 0);
    assert_int_equal(stream_send(stream, block, 100, WAIT, &err), 0);
    assert_int_equal(stream_abort(stream, WAIT, &err), 0);
    stream_free(stream);
    assert_int_equal(remote_storage_vol_upload(client, &args, &stream, &err), 0);
    stream_free(stream);
    nap(10);
}

static void test_upload(void **state)
{
    run((struct scenario){uploads});
}

static void consoles(void)
{
    struct error err;
    struct stream *stream;
    char block[100];
    struct domain_open_console_args args = {.dom = {.name = "guest"}};
    assert_int_equal(remote_domain_open_console(client, &args, &stream, &err), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stream_send(stream, "hello", 5, WAIT, &err), 0);
        assert_int_equal(stream_receive(stream, block, sizeof block, NULL, WAIT, &err), 5);
    }
    assert_int_equal(stream_finish(stream, WAIT, &err), 0);
    stream_free(stream);
    assert_null(console);

    /* the guest ends it */
    assert_int_equal(remote_domain_open_console(client, &args, &stream, &err), 0);
    assert_non_null(console);
    stream_cancel(console);
    assert_int_equal(stream_receive(stream, block, sizeof block, NULL, WAIT, &err), 0);
    assert_int_equal(stream_finish(stream, WAIT, &err), 0);
    stream_free(stream);
    assert_null(console);

    args.dev_name = "serial9";
    assert_int_equal(remote_domain_open_console(client, &args, &stream, &err), -1);
    assert_string_equal(err.message, "no device 'serial9'");

    /* the connection ends while one is open */
    args.dev_name = NULL;
    assert_int_equal(remote_domain_open_console(client, &args, &stream, &err), 0);
    server_client_close(last_client);
    assert_int_equal(stream_receive(stream, block, sizeof block, NULL, WAIT, &err), -1);
    assert_int_equal(err.code, ERR_SYSTEM_ERROR);
    stream_free(stream);
}

static void test_console(void **state)
{
    run((struct scenario){consoles});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_download),
        cmocka_unit_test(test_upload),
        cmocka_unit_test(test_console),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
