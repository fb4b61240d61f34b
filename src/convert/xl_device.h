/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "convert/report.h"
#include "convert/xl_syntax.h"
#include "model/domain.h"

/* Devices of an xl or xm file, disks apart. Each adds to def what the file says of them. hvm: a full machine, whose
 * display and serial ports are settings of their own. */
struct xl_read {
    const struct xl_file *file;
    struct domain_def *def;
    struct report *report;
    bool hvm;
};

int xl_interfaces_read(const struct xl_read *read, struct error *err); /* vif */
int xl_displays_read(const struct xl_read *read, struct error *err);   /* vfb, vnc..., sdl, spice..., stdvga, ... */
int xl_chardevs_read(const struct xl_read *read, struct error *err);   /* serial, console */
int xl_hostdevs_read(const struct xl_read *read, struct error *err);   /* pci, usbdev */
int xl_inputs_read(const struct xl_read *read, struct error *err);     /* usb, usbdevice, soundhw */

/* The value of NAME=VALUE in "A=1, B=2", NULL when it is not there; in the arena, without blanks around it. */
char *xl_key(struct arena *arena, const char *spec, const char *name);
