/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/text.h"

/* One line of QMP, from bytes and to bytes. */

/* A new reference; NULL with fault filled when the line is no JSON. */
json_t *qmp_message_load(const char *line, size_t length, json_error_t *fault);
/* {"execute":...,"arguments":...,"id":...} without blanks, because QEMU reads slowly; arguments (may be NULL) are
 * stolen. */
void qmp_message_append(struct text *out, const char *command, json_t *arguments, uint64_t id);
