/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/field.h"
#include "model/pool.h"
#include "model/xml.h"

/* What the definitions of pools and volumes share inside the model. */

DEFINE_SCOPED(document_scope, xmlDoc *, xmlFreeDoc)
#define scoped_document scope_cleanup(document_scope)

extern const struct element permissions_element;
