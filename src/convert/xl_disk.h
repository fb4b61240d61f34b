/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "convert/report.h"
#include "convert/xl_syntax.h"
#include "model/domain.h"

/* Disks of an xl or xm file: xl-disk-configuration(5), words by position (target, format, vdev, access), key=value, and
 * the older "phy:", "file:", "tap:aio:" and "vdev:cdrom" of xm. */

/* Adds the disk that the value describes to def. setting: its name, for messages. */
int xl_disk_add(struct domain_def *def, const struct xl_value *value, const char *setting, struct report *report,
                struct error *err);
