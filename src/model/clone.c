/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdalign.h>
#include <string.h>

#include "model/xml.h"

/* The copy is made in two runs over the tables: the first (base NULL) only counts the bytes, so that the second fills
 * one block without waste. */
struct copy {
    char *base;
    size_t used;
};

struct any_list {
    void **item;
    uint32_t count, capacity;
};

static void *bytes_copy(struct copy *copy, const void *data, size_t size, size_t alignment)
{
    copy->used = (copy->used + alignment - 1) & ~(alignment - 1);
    char *to = copy->base ? copy->base + copy->used : NULL;
    copy->used += size;
    if (to)
        memcpy(to, data, size);
    return to;
}

static void string_copy(struct copy *copy, const char *const *from, char **to)
{
    char *string = *from ? bytes_copy(copy, *from, strlen(*from) + 1, 1) : NULL;
    if (to)
        *to = string;
}

static void extras_copy(struct copy *copy, const struct extra *from, struct extra **to)
{
    for (; from; from = from->next) {
        struct extra *extra = bytes_copy(copy, from, sizeof(*from), alignof(struct extra));
        string_copy(copy, &from->name, extra ? (char **)&extra->name : NULL);
        string_copy(copy, &from->text, extra ? (char **)&extra->text : NULL);
        string_copy(copy, &from->path, extra ? (char **)&extra->path : NULL);
        if (extra) {
            *to = extra;
            to = &extra->next;
        }
    }
}

static void fields_copy(struct copy *copy, const struct element *element, const char *from, char *to);

/* A struct in its own memory; the pointers in it are copied next. */
static void *part_copy(struct copy *copy, const struct element *element, const void *from)
{
    char *to = bytes_copy(copy, from, element->size, alignof(max_align_t));
    extras_copy(copy, *(struct extra *const *)((const char *)from + element->extra_offset),
                to ? (struct extra **)(to + element->extra_offset) : NULL);
    fields_copy(copy, element, from, to);
    return to;
}

static void list_copy(struct copy *copy, const struct element *element, const struct any_list *from,
                      struct any_list *to)
{
    void **item = from->count ? bytes_copy(copy, from->item, from->count * sizeof(*item), alignof(void *)) : NULL;
    for (uint32_t i = 0; i < from->count; i++) {
        void *part = part_copy(copy, element, from->item[i]);
        if (item)
            item[i] = part;
    }
    if (to)
        *to = (struct any_list){item, from->count, from->count};
}

static void fields_copy(struct copy *copy, const struct element *element, const char *from, char *to)
{
    for (const struct field *field = element->fields; field < element->fields + element->count; field++) {
        const char *source = from + field->offset;
        char *target = to ? to + field->offset : NULL;
        if (field->when && !(field->when & BIT(((const uint8_t *)from)[field->when_offset])))
            continue; /* the member may be another one's in a union */
        switch ((enum field_kind)field->kind) {
        case FIELD_KIND_STRING:
        case FIELD_KIND_CPUSET:
        case FIELD_KIND_VERBATIM:
        case FIELD_KIND_HIDDEN:
            string_copy(copy, (const char *const *)source, (char **)target);
            break;
        case FIELD_KIND_PART:
            if (*(void *const *)source) {
                void *part = part_copy(copy, field->element, *(void *const *)source);
                if (target)
                    *(void **)target = part;
            }
            break;
        case FIELD_KIND_INLINE:
            if (field->offset) /* 0: FIELD_SELF, its extras are the struct's */
                extras_copy(copy, *(struct extra *const *)(source + field->element->extra_offset),
                            target ? (struct extra **)(target + field->element->extra_offset) : NULL);
            fields_copy(copy, field->element, source, target);
            break;
        case FIELD_KIND_MERGE:
            fields_copy(copy, field->element, source, target);
            break;
        case FIELD_KIND_LIST:
            list_copy(copy, field->element, (const struct any_list *)source, (struct any_list *)target);
            break;
        default:
            break;
        }
    }
}

void *xml_clone(struct arena *arena, const struct element *element, const void *part)
{
    struct copy copy = {0};
    part_copy(&copy, element, part);
    copy.base = arena_alloc(arena, copy.used);
    copy.used = 0;
    return part_copy(&copy, element, part);
}
