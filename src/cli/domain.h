/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"
#include "cli/shell.h"
#include "cli/xpath.h"
#include "client_stubs.h"

/* What the commands about domains share. */

enum domain_key { DOMAIN_BY_ID = 1, DOMAIN_BY_UUID = 2, DOMAIN_BY_NAME = 4, DOMAIN_BY_ANY = 7 };

/* Waits. The domain that the option names, looked up as id, then UUID, then name, as far as `keys` allows. The handle's
 * name lives in the invocation's arena. */
int domain_find(struct invocation *in, const char *option, unsigned keys, struct wire_domain *dom, struct error *err);
int domain_find_word(struct invocation *in, const char *word, unsigned keys, struct wire_domain *dom,
                     struct error *err);
/* Waits. The one of --domain, by anything. */
int domain_get(struct invocation *in, struct wire_domain *dom, struct error *err);

/* Words for states, reasons and control states; "unknown" and "no state" for numbers without one. */
const char *domain_state_word(int state);
const char *domain_reason_word(int state, int reason);

/* --config, --live, --current as the flags of the protocol (1 = live, 2 = config, 0 = current). */
int domain_affect(const struct invocation *in, unsigned *flags, struct error *err);
#define DOMAIN_AFFECT_OPTIONS                                    \
    {"config", OPTION_BOOL, 0, "for the next boot"},             \
    {"live", OPTION_BOOL, 0, "for the running domain"},          \
    {"current", OPTION_BOOL, 0, "for the state that it is in"}

/* Whether any of them was given; commands that have an older call make that when none was: it
 * is for the running domain (the definition, for the maximum of memory) and refuses to do anything else. */
bool domain_affect_given(const struct invocation *in);

/* Waits. How many processors the host has, on-line or not. */
int host_cpu_count(struct invocation *in, uint32_t *count, struct error *err);

/* Waits. The domain's XML with these flags; NULL on failure. */
const char *domain_xml(struct invocation *in, const struct wire_domain *dom, unsigned flags, struct error *err);
/* Waits. The same, parsed; the second finds the domain of --domain first. */
struct document *domain_document(struct invocation *in, const struct wire_domain *dom, unsigned flags,
                                 struct error *err);
struct document *domain_get_document(struct invocation *in, struct wire_domain *dom, unsigned flags, struct error *err);
/* Prints XML that the daemon sent, or what --xpath (with --wrap) finds in it. */
int xml_print(struct invocation *in, const char *xml, struct error *err);
/* A file with XML ("-" or /dev/stdin: standard input); NULL on failure, and when there is a NUL in it. */
char *xml_file_read(struct invocation *in, const char *path, struct error *err);

/* Fills a table of names in `word<TAB>` order: the index of word, or -1 and an error that lists them. */
int word_index(const char *what, const char *word, const char *const *words, struct error *err);

void complete_domains(struct completion *completion);
void complete_active(struct completion *completion);
void complete_inactive(struct completion *completion);
void complete_paused(struct completion *completion);

#define DOMAIN_HELP "domain by name, id or UUID"
#define DOMAIN_OPTION        {"domain", OPTION_STRING, OPTION_REQUIRED, DOMAIN_HELP, complete_domains}
#define DOMAIN_ACTIVE_OPTION {"domain", OPTION_STRING, OPTION_REQUIRED, DOMAIN_HELP, complete_active}
