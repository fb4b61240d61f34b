/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "storage/backend.h"

/* What pools of type iscsi and iscsi-direct share: a target of a server, named in <source>. */

#define ISCSI_PORT 3260

/* One <host> that can be a server's name. kind is the pool's type. */
int iscsi_check_host(const struct pool_source *source, const char *kind, struct error *err);
/* The same, and one <device> that can be a target's name. */
int iscsi_check_source(const struct pool_source *source, const char *kind, struct error *err);
/* "iqn.2010-05.com.example:disks" */
const char *iscsi_target(const struct pool_source *source);
/* "host:3260", "[::1]:3260" */
const char *iscsi_portal(struct arena *arena, const struct pool_source *source);
uint32_t iscsi_port(const struct pool_source *source);
/* How the path of a target's disk ends, whichever name its server is called by; with a '-' in front. */
const char *iscsi_unit_path(struct arena *arena, const char *target, uint32_t unit);
bool iscsi_same(const struct pool_def *a, const struct pool_def *b);
/* A target that a server has, as a <source>. */
void iscsi_tell_target(struct arena *arena, const struct pool_source *spec, const char *target, struct text *out);
