/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/cleanup.h"
#include "base/error.h"

/* jansson's values in our idiom of ownership. */
DEFINE_SCOPED(json_scope, json_t *, json_decref)
#define scoped_json scope_cleanup(json_scope)

/* Reads one JSON object or array, which must be all of the text. The way for every text that a client, a guest, an
 * emulator or a file gave us: jansson reads, writes and frees by recursion and allows 2048 levels, and writing takes
 * some 300 bytes of stack for each, more than a fiber has. Texts that nest deeper than JSON_DEPTH_MAX are refused
 * before jansson sees them. The limit leaves room for what QEMU says of an image with 200 backing images, the most that
 * a disk may have, one level each.
 * Returns a new reference, or NULL with ERR_INTERNAL_ERROR and jansson's words (an object that names a key twice is a
 * fault, too). */
#define JSON_DEPTH_MAX 256
json_t *json_read(const char *text, size_t length, struct error *err);
