/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/shell.h"

/* NAME-event of objects other than domains: few kinds of events, each with a word at most. */
struct object_events {
    const char *noun;                  /* "storage pool" */
    const char *const *kinds;          /* words by event id; ends with NULL */
    const char *const *procedures;     /* of each, as the schema names them */
    const char *const *lifecycle;      /* words of event id 0; ends with NULL */
    /* The object of the command's first option, when that was given: into the invocation's arena. Waits. */
    void *(*find)(struct invocation *in, struct error *err);
    int (*begin)(struct invocation *in, int kind, void *object, int32_t *callback_id, struct error *err);
    void (*end)(struct invocation *in, int32_t callback_id);
    /* What to call the object of an event; *what is set for a lifecycle event. */
    const char *(*name)(struct arena *arena, int kind, const void *event, int *what);
};

/* Runs the command: --list, or waits and prints. Succeeds when at least one event came. */
int object_events_run(struct invocation *in, const struct object_events *events, struct error *err);

#define OBJECT_EVENT_OPTIONS(kinds)                                                             \
    {"event", OPTION_STRING, 0, "kind of event to wait for: " kinds},                           \
    {"loop", OPTION_BOOL, 0, "go on after the first one, until the time is over or Ctrl-C"},    \
    {"timeout", OPTION_NUMBER, 0, "seconds to wait"},                                           \
    {"list", OPTION_BOOL, 0, "list the kinds of events"},                                       \
    {"timestamp", OPTION_BOOL, 0, "print the time before each event"}
