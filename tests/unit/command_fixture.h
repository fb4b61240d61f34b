/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fiber.h"
#include "qemu/command.h"
#include "qemu/spawn.h"

/* Command lines, and the installed QEMU started with them in a folder of the test's own. */

extern char folder[];
extern const struct qemu_caps *caps;
extern struct domain_defaults defaults;

/* For cmocka: fills the above. */
int setup(void **state);
int teardown(void **state);

/* The same arguments with every path in the folder, no ports and no taps; makes the disks' images from template.raw and
 * template.qcow2 in the folder. */
struct argv *tame_all(struct arena *arena, const struct argv *argv);
/* Starts it up to the monitor's handshake; name is the monitor's, in the folder, and the guest's its log's. */
int start(struct qemu_spawned *vm, struct arena *arena, const char *guest, const struct argv *argv, const char *name,
          struct error *err);
