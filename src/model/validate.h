/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/domain.h"

/* What the tables cannot say about a complete definition: contradictions between elements, duplicates, ranges. */
int domain_validate(const struct domain_def *def, struct error *err);

/* No two devices have the same address; both are named. Also aliases. */
int domain_validate_addresses(const struct domain_def *def, struct error *err);
