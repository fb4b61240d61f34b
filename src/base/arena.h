/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/cleanup.h"

/* Memory that lives as long as one request or one definition and is freed at once. Single-threaded. Running out of
 * memory ends the process (running guests are not harmed by that), so nothing here returns NULL. */
struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena);
DEFINE_SCOPED(arena_scope, struct arena *, arena_free)
#define scoped_arena scope_cleanup(arena_scope)

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t size);
/* count * size, zeroed; ends the process when the product overflows. */
void *arena_array(struct arena *arena, size_t count, size_t size);
#define arena_struct(arena, type)       ((type *)arena_alloc(arena, sizeof(type)))
#define arena_new_array(arena, count, type) ((type *)arena_array(arena, count, sizeof(type)))

/* The place behind `count` items of an array: when its capacity (a variable, 0 at the beginning) is reached, the array
 * moves to one of twice that, or of `first` items, zeroed behind those that were there. The caller then counts. */
#define arena_grow(arena, array, count, capacity, first)                                               \
    ({                                                                                                 \
        if ((count) == (capacity)) {                                                                   \
            (capacity) = (capacity) ? (capacity)*2 : (first);                                          \
            (array) = arena_longer((arena), (array), (count), (capacity), sizeof(*(array)));           \
        }                                                                                              \
        &(array)[count];                                                                               \
    })
void *arena_longer(struct arena *arena, const void *array, size_t count, size_t capacity, size_t size);

/* Copies; a NULL string stays NULL. */
char *arena_strdup(struct arena *arena, const char *string);
char *arena_strndup(struct arena *arena, const char *string, size_t length);
void *arena_memdup(struct arena *arena, const void *data, size_t size);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list args);

/* Bytes taken from the system, for the memory figures. */
size_t arena_footprint(const struct arena *arena);

/* malloc and friends that end the process instead of returning NULL. */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *string);
char *xprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
