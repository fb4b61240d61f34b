/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"

/* All commands under the headings of their groups. */
void help_print_groups(void);
