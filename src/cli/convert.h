/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"
#include "convert/source.h"

/* What the files of `godwit convert` share. Unlike other commands it does its work in this program, with the same code
 * that the daemon has for reading definitions: source and target may be daemons on other hosts. */

/* Waits when a daemon is asked. The definition that -i, -ic and SOURCE name, as the source has it; *local says whether
 * paths in it are this host's. */
struct domain_def *convert_source(struct invocation *in, struct report *report, bool *local, struct error *err);

/* A line on stderr for each change and for each thing that is left to do. */
void convert_report_print(struct invocation *in, const struct report *report);
/* The report and the result as a JSON object. */
void convert_report_json(const char *name, const char *xml, const struct report *report);
