/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "base/error.h"

/* libiscsi, loaded when somebody needs it: it brings libibverbs, librdmacm and libnl along, nearly a MiB of memory that
 * a daemon without pools of type iscsi-direct need not have. */

#define LIBISCSI_FUNCTIONS(X)                                                                                       \
    X(iscsi_create_context) X(iscsi_destroy_context) X(iscsi_get_error) X(iscsi_set_timeout)                        \
    X(iscsi_set_noautoreconnect) X(iscsi_set_tcp_syncnt) X(iscsi_set_session_type) X(iscsi_set_targetname)          \
    X(iscsi_connect_sync) X(iscsi_login_sync) X(iscsi_is_logged_in) X(iscsi_logout_sync) X(iscsi_discovery_sync)    \
    X(iscsi_free_discovery_data) X(iscsi_reportluns_sync) X(iscsi_inquiry_sync) X(iscsi_readcapacity16_sync)        \
    X(iscsi_write16_sync) X(iscsi_synchronizecache16_sync) X(scsi_datain_unmarshall) X(scsi_free_scsi_task)

struct libiscsi {
#define LIBISCSI_MEMBER(name) __typeof__(name) *name;
    LIBISCSI_FUNCTIONS(LIBISCSI_MEMBER)
#undef LIBISCSI_MEMBER
};

/* The functions, once libiscsi_load() has found them: by then they do not change any more. */
extern struct libiscsi libiscsi;

/* Loads the library, which stays. An error names Debian's package when it is not there; a later call tries again.
 * Blocks, for worker threads; any number of them. */
int libiscsi_load(struct error *err);
