/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Names of architectures. */

/* Bits of a machine word: 0 for an architecture that is not known here. */
unsigned arch_word_size(const char *arch);
/* "i386" -> "i686": QEMU's name of an architecture in libvirt's words. */
const char *arch_from_qemu(const char *qemu_arch);
/* The architecture that this program was built for, which is the host's. */
const char *arch_of_host(void);
bool arch_is_x86(const char *arch);
