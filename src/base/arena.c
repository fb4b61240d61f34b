/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#define FIRST_BLOCK 1024
#define MAX_BLOCK   (64 * 1024)
#define ALIGNMENT   16

/* Blocks double in size, so that a request costs one malloc and a large document few. */
struct block {
    struct block *next;
    size_t size, used; /* of data[] */
    _Alignas(ALIGNMENT) unsigned char data[];
};

struct arena {
    struct block *blocks;
    size_t footprint;
};

static void out_of_memory(size_t size)
{
    fprintf(stderr, "out of memory: %zu bytes could not be had\n", size);
    abort();
}

void *xcalloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory)
        out_of_memory(count * size);
    return memory;
}

void *xrealloc(void *old, size_t size)
{
    void *memory = realloc(old, size ? size : 1);
    if (!memory)
        out_of_memory(size);
    return memory;
}

char *xstrdup(const char *string)
{
    size_t size = strlen(string) + 1;
    return memcpy(xcalloc(1, size), string, size);
}

char *xprintf(const char *format, ...)
{
    char *string;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&string, format, args);
    va_end(args);
    if (length < 0)
        out_of_memory(0);
    return string;
}

static struct block *block_new(struct arena *arena, size_t wanted)
{
    size_t size = arena->blocks ? arena->blocks->size * 2 : FIRST_BLOCK;
    if (size > MAX_BLOCK)
        size = MAX_BLOCK;
    if (size < wanted)
        size = wanted;
    struct block *block = malloc(sizeof *block + size);
    if (!block)
        out_of_memory(size);
    *block = (struct block){.next = arena->blocks, .size = size};
    arena->blocks = block;
    arena->footprint += sizeof *block + size;
    return block;
}

struct arena *arena_new(void)
{
    return xcalloc(1, sizeof(struct arena));
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    for (struct block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

static void *take(struct arena *arena, size_t size, size_t alignment)
{
    struct block *block = arena->blocks;
    size_t start = block ? (block->used + alignment - 1) & ~(alignment - 1) : 0;
    if (!block || start > block->size || block->size - start < size) {
        block = block_new(arena, size);
        start = 0;
    }
    block->used = start + size;
    return block->data + start;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        out_of_memory(size);
    return memset(take(arena, size, ALIGNMENT), 0, size);
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        out_of_memory(SIZE_MAX);
    return arena_alloc(arena, total);
}

void *arena_longer(struct arena *arena, const void *array, size_t count, size_t capacity, size_t size)
{
    void *longer = arena_array(arena, capacity, size);
    return count ? memcpy(longer, array, count * size) : longer;
}

void *arena_memdup(struct arena *arena, const void *data, size_t size)
{
    void *copy = arena_alloc(arena, size);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

char *arena_strndup(struct arena *arena, const char *string, size_t length)
{
    if (!string)
        return NULL;
    size_t actual = strnlen(string, length);
    char *copy = take(arena, actual + 1, 1); /* packed tight: definitions are mostly strings */
    memcpy(copy, string, actual);
    copy[actual] = '\0';
    return copy;
}

char *arena_strdup(struct arena *arena, const char *string)
{
    return string ? arena_strndup(arena, string, strlen(string)) : NULL;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        out_of_memory(0);
    char *string = take(arena, (size_t)length + 1, 1);
    vsnprintf(string, (size_t)length + 1, format, args);
    return string;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *string = arena_vprintf(arena, format, args);
    va_end(args);
    return string;
}

size_t arena_footprint(const struct arena *arena)
{
    return arena->footprint;
}
