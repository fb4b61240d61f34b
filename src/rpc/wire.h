/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The shape of the tables that protocol/generate.py writes from the schema files (wire_tables.c). Everything that knows
 * a message's layout, permission or number reads it from here. */

enum wire_base {
    WIRE_I8,
    WIRE_U8,
    WIRE_U16,
    WIRE_I32,
    WIRE_U32,
    WIRE_I64,
    WIRE_U64,
    WIRE_F64,
    WIRE_STRING, /* const char * */
    WIRE_BYTES,  /* uint32_t x_length; uint8_t *x; */
    WIRE_OPAQUE, /* uint8_t x[max] */
    WIRE_STRUCT, /* described by `type`; unions too */
};

enum wire_shape {
    WIRE_ONE,
    WIRE_OPTIONAL, /* a pointer; NULL = absent */
    WIRE_COUNTED,  /* uint32_t x_count; T *x; */
    WIRE_FIXED,    /* T x[max] */
};

struct wire_type;

struct wire_field {
    const char *name;
    const struct wire_type *type; /* of a WIRE_STRUCT */
    uint32_t max;                 /* most elements or bytes; in a union's arm: the tag that chooses it */
    uint16_t offset;              /* of the value or pointer */
    uint16_t count_offset;        /* of x_count or x_length */
    uint8_t base, shape;
};

/* A struct or a union. A union's first field is its tag, the others are its arms. */
struct wire_type {
    const char *name; /* as in the schema: "domain", "domain-get-info arguments" */
    const struct wire_field *fields;
    uint32_t size;    /* in memory */
    uint32_t minimum; /* bytes that the smallest value takes on the wire */
    uint16_t field_count;
    bool is_union;
};

/* A condition on one integer argument of a call. */
enum wire_operator {
    WIRE_ALWAYS,
    WIRE_ALL_BITS,
    WIRE_ANY_BIT,
    WIRE_NO_BIT,
    WIRE_EQUAL,
};

struct wire_condition {
    uint8_t operator; /* enum wire_operator */
    bool wide;        /* the argument has 8 bytes, not 4 */
    uint16_t offset;  /* in the arguments */
    uint32_t value;
};

/* One access check: the words of libvirt's access-control vocabulary. */
struct wire_access {
    const char *object, *permission; /* a list ends with object NULL */
    struct wire_condition when;
};

enum wire_procedure_flags {
    WIRE_EVENT = 1 << 0,        /* sent, never called */
    WIRE_HIGH = 1 << 1,         /* never waits on a guest's monitor */
    WIRE_NOAUTH = 1 << 2,       /* allowed before authentication */
    WIRE_STREAM_READ = 1 << 3,  /* opens a stream: the server may send */
    WIRE_STREAM_WRITE = 1 << 4, /* ... the client may send */
    WIRE_FDS_IN = 1 << 5,       /* descriptors may come with the call */
    WIRE_FDS_OUT = 1 << 6,      /* ... go with the reply */
    WIRE_WRITES = 1 << 7,       /* refused on read-only connections (when writes_when holds) */
    WIRE_LEGACY = 1 << 8,       /* an event without callback id */
};

struct wire_program;

struct wire_procedure {
    const char *name; /* "domain-get-info"; NULL in a gap of the numbers */
    const struct wire_program *program;
    const struct wire_type *args; /* NULL = none; for an event its body */
    const struct wire_type *ret;  /* NULL = none */
    uint32_t number;
    uint32_t flags;       /* enum wire_procedure_flags */
    uint32_t sparse;      /* holes are allowed when all these bits are in the `flags` argument; 0 = never */
    uint16_t flags_offset; /* of that argument */
    int16_t event_id;     /* of an event with a class; -1 = none */
    const char *event_class; /* "domain", "network", ..., "close", "monitor" */
    struct wire_condition writes_when;
    const struct wire_access *access; /* all must pass; NULL = no check */
    const struct wire_access *filter; /* drop what fails from the result; NULL = none */
};

struct wire_program {
    const char *name;
    uint32_t number, version;
    uint32_t count; /* procedures[number] for number < count */
    const struct wire_procedure *procedures;
};

/* The procedure, or NULL when the program has none of that number. */
static inline const struct wire_procedure *wire_procedure_find(const struct wire_program *program, uint32_t number)
{
    return number < program->count && program->procedures[number].name ? &program->procedures[number] : NULL;
}

/* How a call arrives at its handler whatever its parameters are; see handlers.h. */
struct call;
struct error;
struct wire_handler {
    int (*invoke)(struct call *call, const void *args, void *ret, struct error *err);
    void (*present)(void); /* the handler itself; NULL = nobody wrote one */
};
