/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

/* An error as the wire has it: the body of a reply, or of a stream message, whose status is error. */
void reply_error_encode(const struct error *error, struct text *out);
/* Always fills err: with what the bytes say, or with why they cannot be read. Returns -1. */
int reply_error_decode(const void *data, size_t length, struct error *err);
