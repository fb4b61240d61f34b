/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "constants.h"

/* The contract, obeyed everywhere (docs/errors.md):
 *  - `struct error *err` is the last argument of every function that can fail;
 *  - it returns 0 or -1 (or a pointer or NULL), and fills err exactly when it fails;
 *  - who finds the fault words it: what was asked, what was found, what to do, and which object;
 *  - callers add context with error_wrap() and never log what they pass up. */

#define ERROR_MESSAGE_MAX 1024

struct error {
    int code;                        /* ERR_* of constants.h: libvirt's virErrorNumber; 0 = no error */
    char message[ERROR_MESSAGE_MAX]; /* one finished sentence, UTF-8, cut at the limit */
};

/* Fills err and returns -1, so that a failing function can `return error_set(...)`. err may be NULL. */
int error_set(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for a failed system call: the message gets ": " and the text of errnum (errno is not read); code is
 * ERR_SYSTEM_ERROR. */
int error_system(struct error *err, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message that is there; keeps the code. Returns -1. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The compiler is to know the result too: otherwise it warns of values that "may be uninitialized" behind a failure. */
#define error_set(...)    ({ error_set(__VA_ARGS__); -1; })
#define error_system(...) ({ error_system(__VA_ARGS__); -1; })
#define error_wrap(...)   ({ error_wrap(__VA_ARGS__); -1; })

/* For functions that return a pointer. */
#define error_null(...)        (error_set(__VA_ARGS__), NULL)
#define error_null_system(...) (error_system(__VA_ARGS__), NULL)
#define error_null_wrap(...)   (error_wrap(__VA_ARGS__), NULL)
