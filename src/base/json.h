/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/cleanup.h"

/* jansson's values in our idiom of ownership. */
DEFINE_SCOPED(json_scope, json_t *, json_decref)
#define scoped_json scope_cleanup(json_scope)
