/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

/* Intrusive doubly linked list. A head is init'ed; a link that is in no list points at itself. */
struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_append(struct list *head, struct list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* Harmless on a link that is in no list. */
static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* list_for_each (struct item, item, &head, link) { ... }: the current item may be removed inside, no other one. */
#define list_for_each(type, item, head, member)                                 \
    for (type *item = container_of((head)->next, type, member),                  \
              *next_##item = container_of(item->member.next, type, member);      \
         &item->member != (head);                                                \
         item = next_##item, next_##item = container_of(item->member.next, type, member))
