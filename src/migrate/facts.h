/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/json.h"
#include "migrate/options.h"
#include "model/domain.h"
#include "qemu/driver.h"

/* What is known of a guest and of the two hosts before it moves: JSON documents that travel between the ends, and that
 * the rules of check.h read. A fact that nobody knows is left out; whoever reads it treats that as "not known".
 *
 *   question  the source's: its host, the guest, what is asked for, and what the destination shall look at
 *   answer    the destination's: its host, and what it found of each thing in the question
 */

/* -- reading ------------------------------------------------------------------------------------------------------- */

/* The value at a dotted path ("guest.cpu.mode"), or NULL. document may be NULL. */
const json_t *fact(const json_t *document, const char *path);
const char *fact_text(const json_t *document, const char *path);
/* False when it is not known; *value is then 0. */
bool fact_number(const json_t *document, const char *path, int64_t *value);
/* 1, 0, or -1 when it is not known. */
int fact_flag(const json_t *document, const char *path);
/* The object of a list whose `key` has that text, or NULL. */
const json_t *fact_find(const json_t *list, const char *key, const char *text);
/* The text of a list's item; "" for what is no text. */
const char *fact_item(const json_t *list, size_t index);
bool fact_list_has(const json_t *list, const char *text);

/* -- the guest (facts.c): from definitions alone ------------------------------------------------------------------- */

/* The guest as it is here, and as the destination shall start it (`there`: --xml, or the same definition). Sources of
 * `there` are what the destination is asked for. Does not wait. */
json_t *facts_of_guest(const struct domain_def *here, const struct domain_def *there,
                       const struct migrate_options *options);

/* Adds to an object unless the value is NULL or (facts_put_number) 0. */
void facts_put(json_t *object, const char *key, const char *value);
void facts_put_number(json_t *object, const char *key, uint64_t value);
