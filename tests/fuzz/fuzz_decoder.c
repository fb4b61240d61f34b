/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as any message body: what decodes must encode, and decode to the same again. The first two bytes choose the
 * type. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/codec.h"
#include "wire_tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wire_type *choose(unsigned number)
{
    static const struct wire_program *const programs[] = {&program_remote, &program_qemu, &program_admin,
                                                          &program_godwit};
    if (number == 0)
        return &wire_error_type;
    if (number == 1)
        return &wire_stream_hole_type;
    const struct wire_program *program = programs[(number >> 10) % COUNT(programs)];
    const struct wire_procedure *procedure = &program->procedures[(number & 511) % program->count];
    return number & 512 ? procedure->ret : procedure->args;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct wire_type *type = choose((unsigned)data[0] << 8 | data[1]);
    if (!type)
        return 0;
    scoped_arena struct arena *arena = arena_new();
    scoped_text struct text first = {0}, second = {0};
    struct error err;
    void *value = arena_alloc(arena, type->size);
    if (wire_decode(type, data + 2, size - 2, arena, value, &err) < 0)
        return 0;
    if (arena_footprint(arena) > 65536 + 64 * size)
        abort(); /* memory that the input does not justify */
    void *again = arena_alloc(arena, type->size);
    if (wire_encode(type, value, &first, &err) < 0 ||
        wire_decode(type, first.data, first.length, arena, again, &err) < 0 ||
        wire_encode(type, again, &second, &err) < 0)
        abort();
    if (first.length != second.length || first.length > size - 2 ||
        (first.length && memcmp(first.data, second.data, first.length) != 0))
        abort();
    return 0;
}
