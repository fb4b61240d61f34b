/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "base/json.h"
#include "base/text.h"

/* One line of QMP, from bytes and to bytes. */

/* A new reference; NULL when the line is no JSON, as json_read() says. */
json_t *qmp_message_load(const char *line, size_t length, struct error *err);
/* {"execute":...,"arguments":...,"id":...} without blanks, because QEMU reads slowly; out of band it is "exec-oob".
 * arguments (may be NULL) are stolen. */
void qmp_message_append(struct text *out, const char *command, json_t *arguments, uint64_t id, bool out_of_band);
/* A whole command as a client wrote it, which it steals, so that keys like "control" reach QEMU; its "id" becomes
 * this one. */
void qmp_message_append_raw(struct text *out, json_t *command, uint64_t id);
