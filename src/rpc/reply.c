/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/reply.h"

#include "rpc/codec.h"
#include "wire_tables.h"
#include "wire_types.h"

/* virErrorDomain: who says it */
#define DOMAIN_RPC  7
#define DOMAIN_QEMU 10
#define LEVEL_ERROR 2

void reply_error_encode(const struct error *error, struct text *out)
{
    struct wire_error body = {
        .code = error->code,
        .domain = error->code == ERR_RPC ? DOMAIN_RPC : DOMAIN_QEMU,
        .message = error->message,
        .level = LEVEL_ERROR,
        .str1 = "%s",
        .str2 = error->message,
        .int1 = -1,
        .int2 = -1,
    };
    wire_encode(&wire_error_type, &body, out, NULL); /* cannot fail: message is a string of at most 1 KiB */
}

int reply_error_decode(const void *data, size_t length, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct wire_error body;
    if (wire_decode(&wire_error_type, data, length, arena, &body, err) < 0)
        return error_wrap(err, "the server reported an error that cannot be read");
    const char *message = body.message ? body.message : "the server reported an error without a message";
    /* how servers say that they lack a procedure; clients act on the code */
    bool unknown = body.code == ERR_RPC && string_starts(message, "unknown procedure");
    int code = body.code > 0 ? body.code : ERR_INTERNAL_ERROR;
    return error_set(err, unknown ? ERR_NO_SUPPORT : code, "%s", message);
}
