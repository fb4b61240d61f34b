/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Beyond libvirt's names and flags: what both ends of our own calls (protocol/godwit.schema) and of our own parameters
 * of libvirt's calls must agree on. */

/* Parameters of a migration, and figures of a finished one. A libvirtd knows none that begins so. */
#define GODWIT_PARAM             "godwit."
#define GODWIT_PARAM_POLICY      GODWIT_PARAM "policy"
#define GODWIT_PARAM_MAX_PAUSE   GODWIT_PARAM "max-pause"   /* ms */
#define GODWIT_PARAM_TIME_BUDGET GODWIT_PARAM "time-budget" /* s */
#define GODWIT_PARAM_DISRUPTION  GODWIT_PARAM "disruption"
#define GODWIT_PARAM_VERIFY      GODWIT_PARAM "verify"
#define GODWIT_VERIFIED_DEVICES  GODWIT_PARAM "verified_devices"
#define GODWIT_VERIFIED_DISKS    GODWIT_PARAM "verified_disks"
#define GODWIT_VERIFIED_MEMORY   GODWIT_PARAM "verified_memory" /* bytes */

/* The longest pause that QEMU can be told, in ms. */
#define PAUSE_ANY_MS 2000000

/* check_flags of the calls of a check. */
enum {
    PREFLIGHT_MEASURE = 1, /* question: the dirty rate (takes a second); judge: the link's bandwidth */
    PREFLIGHT_QUICK = 2,   /* leave out what can only warn and may take long */
    PREFLIGHT_FLAGS = PREFLIGHT_MEASURE | PREFLIGHT_QUICK,
};

/* flags of evacuation-leave: the definition stays at the source too. */
enum { EVACUATION_KEEP_DEFINITION = 1 };
