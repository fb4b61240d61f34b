/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/domain.h"

/* Leases: what protects an image from being written by two hosts where locks do not work. QEMU locks its images, and a
 * file system that refuses locks would keep it from starting at all. There QEMU is told not to lock, and a small file
 * beside each image that the guest writes to, `.IMAGE.godwit-lease`, says whose it is: host, domain, since when. Where
 * locks work no such file is made. A lease whose host is this one is ours to take, unless its guest runs or
 * starts: it was left by a crash. Shareable disks have none. */

/* Before QEMU is started: finds out where locks do not work (<disk_source>.unlocked) and takes the leases there. For
 * an incoming guest it only finds out: the source has them. Notes <domain>.lockless. ERR_OPERATION_INVALID when another
 * guest has one, with whose it is and what to do. Waits. */
int lease_take(struct domain *domain, struct domain_def *live, bool incoming, struct error *err);
/* The guest has become this host's by a migration, or is so again after one: the leases are made out anew, whoever had
 * them. Waits, but not for a guest without leases: its user waits too. */
int lease_take_over(const struct domain *domain, struct error *err);
/* The guest has ended, or was not started: removes the leases that are its own, not those that a later start or another
 * host has taken. Does not wait: a fiber does it. */
void lease_release(const struct domain *domain, const struct domain_def *live);
