/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Every pointer, descriptor and child has one owner. A variable that owns carries a scope attribute, which releases
 * what it still holds when the scope ends; steal() takes it out to hand it over. Lifetimes have two pairs of words:
 * new/free (allocates) and init/finish (does not); the second of each accepts what was never filled. */

/* unused: some are there for their release alone */
#define scope_cleanup(function) __attribute__((cleanup(function), unused))

/* DEFINE_SCOPED(arena_scope, struct arena *, arena_free): a function fit for scope_cleanup(). */
#define DEFINE_SCOPED(name, type, release) \
    static inline void name(type *owned)   \
    {                                      \
        if (*owned)                        \
            release(*owned);               \
    }

static inline void free_scope(void *owner)
{
    free(*(void **)owner);
}

static inline void fd_scope(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

DEFINE_SCOPED(file_scope, FILE *, fclose)

#define scoped_free scope_cleanup(free_scope)
#define scoped_fd   scope_cleanup(fd_scope) /* holds -1 when it owns nothing */
#define scoped_file scope_cleanup(file_scope)

/* Hands ownership over: yields the value and leaves nothing behind. */
#define steal(variable)                          \
    ({                                           \
        __typeof__(variable) stolen = (variable); \
        (variable) = NULL;                       \
        stolen;                                  \
    })

static inline int steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
