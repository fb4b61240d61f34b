/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/domain.h"

/* Fills in what the XML left out, as libvirt 9.0 does for x86: emulator and machine, memory and processors, features of
 * the CPU element, clock, names and buses of devices, and the devices that every guest has (controllers, input, video,
 * balloon, console). Addresses come later (address.h). */
int domain_complete(struct domain_def *def, const struct domain_defaults *defaults, struct error *err);

/* Whether a device says when it is tried at boot (<boot order>); then <os><boot> has no say. */
bool boots_by_order(const struct domain_def *def);

/* Whether the machine is of the q35 family (PCI Express) or of the pc family (i440fx). */
bool machine_is_q35(const struct domain_def *def);
bool machine_is_pc(const struct domain_def *def);

/* The controller of that type and index, or NULL. */
struct controller *controller_find(const struct domain_def *def, enum controller_type type, uint32_t index);
/* Appends one without a model. */
struct controller *controller_add(struct domain_def *def, enum controller_type type, uint32_t index);
/* Sorts them, numbers them, gives them models and adds those that every machine has. */
int controllers_complete(struct domain_def *def, struct error *err);
/* Adds those that other devices' addresses need: ide, fdc, scsi, sata, virtio-serial, ccid. */
void controllers_implied(struct domain_def *def);

/* Takes out the devices that every reader of a pc or q35 definition adds by itself and that libvirt leaves out of what
 * it sends to another host; sorts the controllers. */
void implied_remove(struct domain_def *def);

/* "vdb" -> 1, "sdaa" -> 26; -1 when it is no such name. A partition number at its end is ignored. */
int disk_name_index(const char *target);
