/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/domain.h"

/* The part of domain_complete() that is about devices. */
int devices_complete(struct domain_def *def, struct error *err);
