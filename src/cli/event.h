/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/shell.h"

/* What is known about a kind of domain event: enough to register, to print a line and to make JSON. */

enum event_field_kind {
    EVENT_TEXT,      /* const char *, may be NULL */
    EVENT_I32,
    EVENT_I64,
    EVENT_U64,
    EVENT_WORD,      /* i32, an index into words */
    EVENT_DETAIL,    /* i32, whose words depend on the i32 just before it in the struct */
    EVENT_ADDRESS,   /* struct wire_domain_event_graphics_address */
    EVENT_IDENTITIES, /* uint32_t count, then the list */
    EVENT_PARAMS,    /* uint32_t count, then the list */
};

struct event_field {
    const char *key;
    enum event_field_kind kind;
    size_t offset;
    const char *const *words; /* ends with NULL */
};

struct event_kind {
    const char *name;
    int id;                /* DOMAIN_EVENT_ID_* */
    int procedure;         /* PROC_* of the event with a callback id */
    size_t domain_offset;
    const char *line;      /* after "event 'NAME' for domain 'X'"; {key} stands for that field */
    const struct event_field *fields; /* ends with key NULL */
};

extern const struct event_kind event_kinds[]; /* ends with name NULL */

/* The kind that such an event belongs to; NULL for none of ours. */
const struct event_kind *event_kind_of(const struct wire_procedure *procedure);
/* The line for people, without the line end, and the object for programs. */
char *event_text(struct arena *arena, const struct event_kind *kind, const void *event);
json_t *event_json(const struct event_kind *kind, const void *event);

/* "2026-11-22 03:04:05.678+0000", of this moment. */
char *event_timestamp(struct arena *arena);

/* Waits for the loop of `event` and its like: until *done is true, the time is over (0 = never), SIGINT, or the end of
 * the connection (an error). Prints why it ended. `changed` is woken when *done may have become true. */
int event_wait(struct invocation *in, struct condition *changed, const bool *done, uint64_t timeout_s,
               struct error *err);
