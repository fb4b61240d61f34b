/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/json.h"
#include "base/text.h"
#include "migrate/facts.h"

/* What a migration needs, as one table of rules over the facts of both ends. The same table is printed by `godwit
 * migrate --check` and gates the migration itself. Nothing here waits. */

enum check_category { CHECK_ERROR, CHECK_WARNING, CHECK_INFORMATION };

/* What a rule found. The worst ones come last. */
enum check_result { CHECK_PASS, CHECK_UNKNOWN, CHECK_NOTE, CHECK_WARN, CHECK_FAIL };

enum check_flags {
    CHECK_UNSAFE = 1, /* --unsafe lets the migration pass nevertheless */
    CHECK_LIVE = 2,   /* of a guest that does not run (--offline) only the definition moves: then it is a warning */
};

struct check;

struct check_rule {
    const char *id;
    enum check_category category; /* what it means when it is broken */
    unsigned flags;               /* enum check_flags */
    int code;                     /* of the error that refuses the migration */
    const char *title;            /* what is required, in a few words */
    /* Reports what it finds by check_good(), _bad() and _unknown(); nothing at all when it does not apply. */
    void (*run)(struct check *check);
    const char *why;              /* for the documentation: sentences */
};

extern const struct check_rule check_rules[]; /* ends with id NULL */

/* Runs every rule. question and answer as in facts.h, either may be NULL or lack anything: then what depends on it is
 * CHECK_UNKNOWN. Returns a list of findings:
 *   {"id", "title", "result": "pass"|"unknown"|"note"|"warn"|"fail", "subject"?, "source"?, "destination"?, "remedy"?,
 *    "unsafe": bool} */
json_t *check_run(const json_t *question, const json_t *answer);
/* The worst result among the findings; with --unsafe, what that lets pass counts as a warning. */
enum check_result check_worst(const json_t *findings, bool unsafe);
/* 0 when the migration may go on; else -1 with one message of all that forbids it, and the code of the first that
 * --unsafe would not let pass. */
int check_refuse(const json_t *findings, bool unsafe, const char *name, struct error *err);
/* The rules as the rows of a Markdown table, for the documentation. */
void check_document(struct text *out);

/* -- for rules (check_rules*.c) ------------------------------------------------------------------------------------ */

struct check {
    const json_t *question, *answer;
    const struct check_rule *rule;
    struct arena *arena;
    json_t *findings;
};

/* Texts may be NULL. subject names one of several ("disk vda"), source and destination say what was found there. */
void check_good(struct check *check, const char *subject, const char *source, const char *destination);
void check_bad(struct check *check, const char *subject, const char *source, const char *destination,
               const char *remedy);
void check_unknown(struct check *check, const char *subject, const char *source, const char *destination);

#define CHECK_RULE(name) void check_##name(struct check *check)
CHECK_RULE(state);
CHECK_RULE(same_host);
CHECK_RULE(name_free);
CHECK_RULE(blockers);
CHECK_RULE(hostdevs);
CHECK_RULE(bound);
CHECK_RULE(vectors);
CHECK_RULE(tcg_dirty);
CHECK_RULE(emulator);
CHECK_RULE(machine);
CHECK_RULE(qemu_older);
CHECK_RULE(qemu_newer);
CHECK_RULE(capabilities);
CHECK_RULE(virt_type);
CHECK_RULE(cpu);
CHECK_RULE(cpu_passthrough);
CHECK_RULE(vcpus);
CHECK_RULE(pinning);
CHECK_RULE(memory);
CHECK_RULE(memory_room);
CHECK_RULE(hugepages);
CHECK_RULE(disk_present);
CHECK_RULE(disk_same);
CHECK_RULE(disk_room);
CHECK_RULE(disk_chain);
CHECK_RULE(disk_network);
CHECK_RULE(disk_format);
CHECK_RULE(disk_cache);
CHECK_RULE(disk_flush);
CHECK_RULE(files);
CHECK_RULE(secrets);
CHECK_RULE(tpm);
CHECK_RULE(networks);
CHECK_RULE(segment);
CHECK_RULE(graphics);
CHECK_RULE(seclabel);
CHECK_RULE(resolve_there);
CHECK_RULE(resolve_back);
CHECK_RULE(port);
CHECK_RULE(clock);
CHECK_RULE(clients);
CHECK_RULE(ssh);
CHECK_RULE(converges);
#undef CHECK_RULE
