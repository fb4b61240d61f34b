/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/internal.h"

#include <stdarg.h>
#include <string.h>

#include "base/log.h"

/* What a stage does. QEMU takes capabilities only before `migrate`, parameters at any time. So what a policy may need
 * is turned on at the beginning with parameters that make it do next to nothing, and its stage sets those that
 * count. */

enum {
    ASK_MS = 2000,
    IDLE_CACHE = 65536,  /* bytes of xbzrle's cache: a page of any architecture */
    IDLE_THROTTLE = 1,   /* percent; QEMU has no 0 */
    THROTTLE_STEP = 30,  /* QEMU takes one every second pass */
    CACHE_MAX_MIB = 1024,
};

#define MIB (1024.0 * 1024.0)

/* -- the contract -------------------------------------------------------------------------------------------------- */

uint32_t migration_downtime_most(const struct domain *domain)
{
    return domain->migrate_downtime_ms ? domain->migrate_downtime_ms : MIGRATE_DOWNTIME_DEFAULT_MS;
}

uint32_t migration_downtime_first(const struct domain *domain)
{
    uint32_t most = migration_downtime_most(domain), first = policies->first_pause_ms;
    return most < first ? most : first;
}

static __attribute__((format(printf, 2, 3))) void say(struct migration *migration, const char *format, ...)
{
    struct steering *steering = &migration->steering;
    va_list args;
    scoped_text struct text line = {0};
    va_start(args, format);
    text_vprintf(&line, format, args);
    va_end(args);
    log_info("migration of domain '%s': %s", domain_name(migration->domain), text_string(&line));
    if (steering->line_count < STEERING_LINES_MAX)
        steering->lines[steering->line_count++] = arena_strdup(migration->arena, text_string(&line));
    condition_wake(&migration->domain->changed);
}

static bool is_off(const struct steering *steering)
{
    return steering->policy == policies;
}

static void say_contract(struct migration *migration)
{
    const struct policy_contract *contract = &migration->steering.contract;
    scoped_arena struct arena *arena = arena_new();
    say(migration, "policy %s (%s): a pause of %u ms, %llu s in all%s", migration->steering.policy->name,
        policy_stages(migration->steering.policy, arena), contract->max_pause_ms,
        (unsigned long long)(contract->budget_ms / 1000), contract->disruption ? "" : ", no disruption");
}

/* -- before it begins ---------------------------------------------------------------------------------------------- */

static void remember_parameters(struct migration *migration)
{
    static const char *const names[] = {"xbzrle-cache-size", "cpu-throttle-initial", "cpu-throttle-increment",
                                        "max-cpu-throttle"};
    scoped_json json_t *now =
        qmp_command(migration->domain->qmp, "query-migrate-parameters", NULL, deadline_ms(ASK_MS), NULL);
    migration->steering.before = json_object();
    for (size_t i = 0; i < COUNT(names); i++)
        if (json_object_get(now, names[i]))
            json_object_set(migration->steering.before, names[i], json_object_get(now, names[i]));
}

/* As if the user had asked for it, at its weakest. */
static void arm(struct migration *migration, uint32_t features)
{
    struct migrate_options *options = &migration->options;
    migration->steering.armed = features;
    options->flags |= features;
    if (features & MIGRATE_COMPRESSED)
        options->xbzrle_cache = IDLE_CACHE;
    if (features & MIGRATE_AUTO_CONVERGE)
        options->throttle_initial = options->throttle_increment = options->throttle_most = IDLE_THROTTLE;
}

static uint32_t longest_pause(const struct domain *domain, const struct steering *steering)
{
    return is_off(steering) ? migration_downtime_most(domain) : steering->contract.max_pause_ms;
}

static uint64_t memory_kib(const struct domain *domain)
{
    const struct domain_def *live = domain->object.live;
    return live->memory;
}

int stages_begin(struct migration *migration, const struct migrate_cookie *remote, struct error *err)
{
    struct domain *domain = migration->domain;
    struct steering *steering = &migration->steering;
    const struct migrate_options *options = &migration->options;
    const struct qemu_caps *caps = migration_caps(domain, err);
    if (!caps || domain_require_active(domain, err) < 0)
        return -1;
    steering->policy = policy_find(options->policy, err);
    if (!steering->policy)
        return -1;
    steering->contract =
        policy_contract(steering->policy, options, memory_kib(domain), domain->migrate_downtime_ms);
    uint32_t most = longest_pause(domain, steering), first = steering->policy->first_pause_ms;
    migration->limit_ms = most < first ? most : first;
    steering->began_ns = now_ns();
    if (is_off(steering))
        return 0;
    say_contract(migration);
    arm(migration, migration_features(migration, caps, remote, policy_wishes(steering->policy, options)));
    if (steering->armed & (MIGRATE_COMPRESSED | MIGRATE_AUTO_CONVERGE))
        remember_parameters(migration);
    return 0;
}

/* Whether this host's kernel lets QEMU do post-copy only QEMU knows. */
static bool can_receive_postcopy(struct domain *domain)
{
    struct error err = {0};
    json_t *capability = json_pack("{s:s, s:b}", "capability", "postcopy-ram", "state", 1);
    if (qmp_execute(domain->qmp, "migrate-set-capabilities", json_pack("{s:[o]}", "capabilities", capability),
                    monitor_deadline(), &err) == 0)
        return true;
    log_info("domain '%s' will not arrive by post-copy: %s", domain_name(domain), err.message);
    return false;
}

void stages_arm(struct migration *migration, const struct migrate_cookie *remote)
{
    const struct qemu_caps *caps = migration_caps(migration->domain, NULL);
    const struct policy *policy = policy_find(migration->options.policy, NULL);
    if (!caps || !policy || policy == policies || !domain_active(migration->domain))
        return;
    uint32_t features = migration_features(migration, caps, remote, policy_wishes(policy, &migration->options));
    if (features & MIGRATE_POSTCOPY && !can_receive_postcopy(migration->domain))
        features &= ~(uint32_t)MIGRATE_POSTCOPY;
    migration->steering.armed = features;
    migration->options.flags |= features;
}

/* A time budget that the user gave counts copying disks too. */
void stages_started(struct migration *migration)
{
    struct steering *steering = &migration->steering;
    uint64_t now = now_ns();
    if (!migration->options.time_budget_s)
        steering->began_ns = now;
    steering->sent_ns = now;
}

void stages_undo(struct migration *migration)
{
    json_t *before = steal(migration->steering.before);
    if (before && json_object_size(before) && domain_active(migration->domain))
        qmp_execute(migration->domain->qmp, "migrate-set-parameters", before, monitor_deadline(), NULL);
    else
        json_decref(before);
}

void stages_finish(struct steering *steering)
{
    json_decref(steal(steering->before));
}

/* -- what is left -------------------------------------------------------------------------------------------------- */

static uint64_t elapsed_ms(const struct steering *steering)
{
    return (now_ns() - steering->began_ns) / 1000000;
}

int64_t stages_budget_ms(const struct migration *migration)
{
    const struct steering *steering = &migration->steering;
    uint64_t elapsed = elapsed_ms(steering), budget = steering->contract.budget_ms;
    return !budget ? -1 : budget > elapsed ? (int64_t)(budget - elapsed) : 0;
}

static uint64_t rate_of(const struct migration *migration)
{
    return migration->steering.rate ? migration->steering.rate : migration->info.memory_bps;
}

int64_t stages_left_ms(const struct migration *migration)
{
    const struct job_info *info = &migration->info;
    uint64_t dirty = info->dirty_rate * info->page_size, rate = rate_of(migration);
    if (migration->domain->postcopy || migration->domain->state != DOMAIN_RUNNING)
        dirty = 0;
    if (!info->memory_total || rate <= dirty)
        return -1;
    return (int64_t)(info->memory_remaining / ((rate - dirty) / 1000 + 1));
}

/* -- stages -------------------------------------------------------------------------------------------------------- */

/* False, and said, when QEMU does not take them. */
static bool set_parameters(struct migration *migration, json_t *parameters, const char *what)
{
    struct error err = {0};
    if (qmp_execute(migration->domain->qmp, "migrate-set-parameters", parameters, deadline_ms(ASK_MS), &err) == 0)
        return true;
    say(migration, "no %s: %s", what, err.message);
    return false;
}

/* What QEMU does not take is not tried again. */
static bool set_limit(struct migration *migration, uint32_t limit_ms)
{
    migration->limit_ms = limit_ms;
    return set_parameters(migration, json_pack("{s:i}", "downtime-limit", (int)limit_ms), "longer pause");
}

static const struct policy_stage *stage_of(const struct steering *steering)
{
    return &steering->policy->stages[steering->stage];
}

/* Why a stage cannot be had; NULL when it can. */
static const char *obstacle(const struct migration *migration, enum stage_kind kind)
{
    uint32_t flags = migration->options.flags, armed = migration->steering.armed;
    if (stage_disrupts(kind) && !migration->steering.contract.disruption)
        return "the contract forbids it";
    switch (kind) {
    case STAGE_COMPRESSION:
        return armed & MIGRATE_COMPRESSED   ? NULL
               : flags & MIGRATE_COMPRESSED ? "it was on from the beginning"
               : flags & MIGRATE_PARALLEL   ? "it does not go together with parallel connections"
                                            : "one of the ends cannot do it";
    case STAGE_AUTO_CONVERGE:
        return armed & MIGRATE_AUTO_CONVERGE   ? NULL
               : flags & MIGRATE_AUTO_CONVERGE ? "it was on from the beginning"
                                               : "QEMU cannot do it";
    case STAGE_POST_COPY:
        return flags & MIGRATE_POSTCOPY    ? NULL
               : flags & MIGRATE_PARALLEL  ? "it does not go together with parallel connections"
               : flags & MIGRATE_TUNNELLED ? "a tunnel goes one way"
                                           : "the destination cannot do it";
    default:
        return NULL;
    }
}

static uint64_t cache_bytes(const struct domain *domain)
{
    uint64_t mib = 1, quarter = memory_kib(domain) >> 12;
    while (mib * 2 <= quarter && mib * 2 <= CACHE_MAX_MIB)
        mib *= 2;
    return mib << 20;
}

static bool begin_compression(struct migration *migration, const char *why)
{
    uint64_t bytes = cache_bytes(migration->domain);
    if (!set_parameters(migration, json_pack("{s:I}", "xbzrle-cache-size", (json_int_t)bytes), "compression"))
        return false;
    say(migration, "compression, with a cache of %llu MiB: %s", (unsigned long long)bytes >> 20, why);
    return true;
}

static bool begin_throttle(struct migration *migration, const char *why)
{
    uint32_t most = stage_of(&migration->steering)->bound;
    if (!set_parameters(migration, json_pack("{s:i, s:i}", "max-cpu-throttle", (int)most, "cpu-throttle-increment",
                                             THROTTLE_STEP), "auto-converge"))
        return false;
    say(migration, "the guest is slowed down, by %u %% at most: %s", most, why);
    return true;
}

static bool begin_postcopy(struct migration *migration, const char *why)
{
    struct error err = {0};
    say(migration, "post-copy, the guest goes on on the destination: %s", why);
    if (migration_start_postcopy(migration->domain, &err) < 0)
        say(migration, "post-copy does not begin: %s", err.message);
    return true;
}

/* QEMU itself finds the moment: it stops the guest once what is left fits. So it is told to wait for the fewest bytes
 * that any pass has begun with, then, when that does not come again, for the last pass'. */
static void aim(struct migration *migration, uint64_t bytes, const char *why)
{
    uint32_t bound = stage_of(&migration->steering)->bound, pause = pause_for(bytes, rate_of(migration));
    if (pause <= migration->limit_ms) /* it measures the link otherwise than we do */
        pause = migration->limit_ms * 2;
    if (bound && pause > bound)
        pause = bound;
    if (pause > PAUSE_ANY_MS)
        pause = PAUSE_ANY_MS;
    if (pause <= migration->limit_ms || !set_limit(migration, pause))
        return;
    say(migration, "a pause of up to %u ms, when no more than %.1f MiB are left: %s", pause, (double)bytes / MIB, why);
}

static const char *tried(const struct steering *steering, struct arena *arena)
{
    scoped_text struct text out = {0};
    for (size_t i = 0; i < steering->stage; i++)
        if (!(steering->skipped & 1U << i))
            text_printf(&out, "%s%s", i ? ", " : "", stage_name(steering->policy->stages[i].kind));
    return arena_strdup(arena, text_string(&out));
}

/* QEMU measures it from pass to pass, so there is nothing before the first has ended. */
static const char *changed(const struct job_info *info, struct arena *arena)
{
    if (!info->dirty_rate)
        return "how much the guest changed was not known yet";
    return arena_printf(arena, "%.1f MiB/s changed", (double)(info->dirty_rate * info->page_size) / MIB);
}

static void give_up(struct migration *migration, const char *why)
{
    struct steering *steering = &migration->steering;
    const struct job_info *info = &migration->info;
    uint64_t least = steering->low ? steering->low : info->memory_remaining;
    uint32_t pause = pause_for(least, rate_of(migration));
    say(migration, "given up: %s", why);
    if (migration->abort.code)
        return;
    error_set(&migration->abort, ERR_OPERATION_TIMEOUT,
              "policy '%s' has tried %s; %s. %.1f MiB were left, %.1f MiB/s were sent and %s. A pause "
              "of about %u ms would have done (--max-pause); else allow more time (--time-budget) or another --policy",
              steering->policy->name, tried(steering, migration->arena), why, (double)info->memory_remaining / MIB,
              (double)rate_of(migration) / MIB, changed(info, migration->arena), pause);
}

/* False when QEMU refuses. */
static bool begin_stage(struct migration *migration, const char *why)
{
    struct steering *steering = &migration->steering;
    switch (stage_of(steering)->kind) {
    case STAGE_PLAIN: break;
    case STAGE_COMPRESSION: return begin_compression(migration, why);
    case STAGE_AUTO_CONVERGE: return begin_throttle(migration, why);
    case STAGE_POST_COPY: return begin_postcopy(migration, why);
    case STAGE_PAUSE: aim(migration, steering->low ? steering->low : steering->left, why); break;
    case STAGE_GIVE_UP: give_up(migration, why); break;
    }
    return true;
}

/* The stage that comes next can be had; the last one is for the end of the time. */
static bool go_on(struct migration *migration, const char *why)
{
    struct steering *steering = &migration->steering;
    const struct policy_stage *stages = steering->policy->stages;
    size_t next = steering->stage + 1;
    while (obstacle(migration, stages[next].kind))
        next++;
    if (stages[next].kind == STAGE_GIVE_UP && stages_budget_ms(migration) > 0)
        return false;
    for (size_t i = steering->stage + 1; i < next; i++) {
        say(migration, "no %s: %s", stage_name(stages[i].kind), obstacle(migration, stages[i].kind));
        steering->skipped |= 1U << i;
    }
    steering->stage = next;
    steering->stalls = 0;
    if (begin_stage(migration, why))
        return true;
    steering->skipped |= 1U << next;
    return go_on(migration, why);
}

/* -- looking ------------------------------------------------------------------------------------------------------- */

static void note_pass(struct migration *migration)
{
    struct steering *steering = &migration->steering;
    uint64_t now, sent;
    steering->pass = migration->domain->migration_pass;
    migration->asked_ns = 0;
    migration_ask(migration, ASK_MS);
    now = now_ns();
    sent = migration->info.memory_processed;
    if (steering->pass > 1 && now > steering->sent_ns && sent > steering->sent)
        steering->rate = (uint64_t)((double)(sent - steering->sent) * 1e9 / (double)(now - steering->sent_ns));
    steering->sent = sent;
    steering->sent_ns = now;
    steering->left = migration->info.memory_remaining;
    if (steering->pass > 1 && (!steering->low || steering->left < steering->low))
        steering->low = steering->left;
}

/* The pass that begins has as much to send as the one before had. */
static void stalled(struct migration *migration, uint64_t before)
{
    struct steering *steering = &migration->steering;
    uint32_t most = longest_pause(migration->domain, steering), limit = migration->limit_ms;
    uint64_t left = steering->left;
    if (stage_of(steering)->kind == STAGE_PAUSE) {
        aim(migration, left, "such a low has not come again");
        return;
    }
    if (limit >= most || pause_for(left, rate_of(migration)) / 2 > most)
        steering->stalls++;
    if (limit >= most)
        return;
    if (set_limit(migration, limit * 2 < most ? limit * 2 : most) && !is_off(steering))
        say(migration, "a pause of up to %u ms: pass %u has %.1f MiB to send, the one before had %.1f",
            migration->limit_ms, steering->pass, (double)left / MIB, (double)before / MIB);
}

void stages_copying(struct migration *migration)
{
    uint64_t budget_s = migration->options.time_budget_s;
    if (!budget_s || migration->abort.code || stages_budget_ms(migration) > 0)
        return;
    say(migration, "given up: the %llu s are over while disks are copied", (unsigned long long)budget_s);
    error_set(&migration->abort, ERR_OPERATION_TIMEOUT,
              "the time budget of %llu s is over, and its disks are not copied yet; allow more (--time-budget)",
              (unsigned long long)budget_s);
}

/* When two thirds of the time that a pause waits for its moment are over, the next one has to do. */
static bool pause_now(struct migration *migration)
{
    const struct steering *steering = &migration->steering;
    const struct policy_stage *stage = stage_of(steering);
    uint64_t budget_ms = steering->contract.budget_ms, from = steering->stage ? stage[-1].share : 0;
    uint32_t most = stage->bound ? stage->bound : PAUSE_ANY_MS;
    if (stage->kind != STAGE_PAUSE || migration->limit_ms >= most ||
        elapsed_ms(steering) < budget_ms / 100 * (from + (stage->share - from) * 2 / 3))
        return false;
    if (!set_limit(migration, most))
        return true;
    if (stage->bound)
        say(migration, "a pause of up to %u ms, as soon as it suffices: the time is nearly over", most);
    else
        say(migration, "a pause of any length, now: the time is nearly over");
    return true;
}

static bool is_steerable(const struct domain *domain)
{
    return domain_active(domain) && domain->state == DOMAIN_RUNNING && !domain->postcopy &&
           (strcmp(domain->migration_status, "active") == 0 || strcmp(domain->migration_status, "setup") == 0);
}

/* The first pass says nothing of how the next ones will do: as long as it ends in time, time is no reason. */
static bool is_well(const struct migration *migration)
{
    int64_t left = stages_left_ms(migration);
    return migration->steering.pass <= 1 && left >= 0 && left < stages_budget_ms(migration);
}

bool stages_tend(struct migration *migration)
{
    struct domain *domain = migration->domain;
    struct steering *steering = &migration->steering;
    uint32_t most = longest_pause(domain, steering);
    bool pass = domain->migration_pass != steering->pass, waited = false;
    if (!is_steerable(domain) || (is_off(steering) && (!pass || migration->limit_ms >= most)))
        return false;
    if (pass) {
        uint64_t before = steering->left;
        note_pass(migration);
        waited = true;
        if (!is_steerable(domain))
            return true;
        if (pass_has_shrunk(before, steering->left))
            steering->stalls = 0;
        else
            stalled(migration, before);
    }
    const struct policy_stage *stage = stage_of(steering);
    uint64_t elapsed = elapsed_ms(steering);
    if (is_well(migration))
        return waited;
    if (pause_now(migration))
        return true;
    if (!stage_is_over(stage, steering->stalls, elapsed, steering->contract.budget_ms) ||
        (stage->kind == STAGE_PAUSE && !stage->bound))
        return waited;
    scoped_free char *why = stage->stalls && steering->stalls >= stage->stalls
        ? xprintf("%u passes have not shrunk what is left, %.1f MiB", steering->stalls, (double)steering->left / MIB)
        : xprintf("%.1f s of the %llu s are over", (double)elapsed / 1000,
                  (unsigned long long)(steering->contract.budget_ms / 1000));
    return go_on(migration, why) || waited;
}
