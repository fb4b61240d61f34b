/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/domain.h"

/* Waits. Joins the terminal with a console of the domain until the escape key, the guest's end, or the end of the
 * input. device: alias of the character device, NULL = the first console. flags: DOMAIN_CONSOLE_*. */
int console_run(struct invocation *in, const struct wire_domain *dom, const char *device, unsigned flags,
                struct error *err);
