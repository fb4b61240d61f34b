/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "qemu/stats.h"

/* Asking QEMU: one row for each command, and what its answer teaches. Answers come from a guest's QEMU, which may lie;
 * nothing in them is taken for granted. */

enum {
    UNANSWERED_MS = 100, /* a QEMU that owes an answer for longer is not asked again */
    LAYERS_MAX = 200,    /* of one disk; longer chains are cut */
    VCPUS_MAX = 4096,
    LIST_MAX = 4096,
};

static uint64_t number(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value < 0 ? 0 : (uint64_t)value;
}

/* -- disks --------------------------------------------------------------------------------------------------------- */

/* "virtio-disk0" of "/machine/peripheral/virtio-disk0/virtio-backend"; to free(), NULL for what is no device of
 * ours. */
static char *device_alias(const json_t *entry)
{
    const char *path = json_string_value(json_object_get(entry, "qdev"));
    const char *alias = path ? string_after(path, "/machine/peripheral/") ?: path : NULL;
    return alias && *alias && *alias != '/' ? strndup(alias, strcspn(alias, "/")) : NULL;
}

static void disk_list_free(struct disk_stats *disks, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        for (unsigned depth = 0; depth < disks[i].layer_count; depth++)
            free(disks[i].layers[depth].file);
        free(disks[i].alias);
        free(disks[i].layers);
    }
    free(disks);
}

static void forget_sizes(struct stats *stats)
{
    domain_def_free(steal(stats->sized));
}

void stats_forget_sizes(struct domain *domain)
{
    if (domain->stats)
        forget_sizes(domain->stats);
}

static void count_layer(struct layer_stats *layer, const json_t *entry)
{
    const json_t *counters = json_object_get(entry, "stats");
    const json_t *below = json_object_get(json_object_get(entry, "parent"), "stats");
    *layer = (struct layer_stats){
        .read_requests = number(counters, "rd_operations"),
        .read_bytes = number(counters, "rd_bytes"),
        .read_ns = number(counters, "rd_total_time_ns"),
        .write_requests = number(counters, "wr_operations"),
        .write_bytes = number(counters, "wr_bytes"),
        .write_ns = number(counters, "wr_total_time_ns"),
        .flush_requests = number(counters, "flush_operations"),
        .flush_ns = number(counters, "flush_total_time_ns"),
        .highest_offset = number(below, "wr_highest_offset"),
    };
}

static struct disk_stats *find_disk(struct disk_stats *disks, unsigned count, const char *alias)
{
    for (unsigned i = 0; alias && i < count; i++)
        if (strcmp(disks[i].alias, alias) == 0)
            return &disks[i];
    return NULL;
}

/* What counters do not tell stays as it was last learned, unless the chain has changed. */
static void keep_sizes(struct stats *stats, struct disk_stats *disk, struct disk_stats *before)
{
    if (!before || before->layer_count != disk->layer_count) {
        forget_sizes(stats);
        return;
    }
    disk->failed = before->failed;
    disk->no_space = before->no_space;
    for (unsigned depth = 0; depth < disk->layer_count; depth++) {
        struct layer_stats *layer = &disk->layers[depth], *old = &before->layers[depth];
        layer->capacity = old->capacity;
        layer->actual = old->actual;
        layer->threshold = old->threshold;
        layer->sized = old->sized;
        layer->file = steal(old->file);
    }
}

static void learn_counters(struct stats *stats, const json_t *reply)
{
    size_t count = json_array_size(reply);
    if (count > LIST_MAX)
        return;
    struct disk_stats *disks = xcalloc(count + 1, sizeof *disks);
    unsigned known = 0;
    size_t i;
    json_t *entry;
    json_array_foreach (reply, i, entry) {
        struct disk_stats *disk = &disks[known];
        disk->alias = device_alias(entry);
        if (!disk->alias)
            continue;
        known++;
        const json_t *layer = entry;
        for (; layer && disk->layer_count < LAYERS_MAX; layer = json_object_get(layer, "backing"))
            disk->layer_count++;
        disk->layers = xcalloc(disk->layer_count, sizeof *disk->layers);
        layer = entry;
        for (unsigned depth = 0; depth < disk->layer_count; depth++, layer = json_object_get(layer, "backing"))
            count_layer(&disk->layers[depth], layer);
        keep_sizes(stats, disk, find_disk(stats->disks, stats->disk_count, disk->alias));
    }
    disk_list_free(stats->disks, stats->disk_count);
    stats->disks = disks;
    stats->disk_count = known;
}

const struct disk_stats *stats_disk(const struct stats *stats, const char *alias)
{
    return find_disk(stats->disks, stats->disk_count, alias);
}

static void size_layers(struct disk_stats *disk, const json_t *inserted)
{
    const json_t *image = json_object_get(inserted, "image");
    for (unsigned depth = 0; image && depth < disk->layer_count; depth++) {
        struct layer_stats *layer = &disk->layers[depth];
        layer->capacity = number(image, "virtual-size");
        layer->actual = number(image, "actual-size");
        layer->sized = true;
        const char *file = depth ? json_string_value(json_object_get(image, "filename")) : NULL;
        if (file && !layer->file)
            layer->file = xstrdup(file);
        image = json_object_get(image, "backing-image");
    }
    if (disk->layer_count)
        disk->layers[0].threshold = number(inserted, "write_threshold");
}

/* Comes after learn_counters() in the same batch. */
static void learn_sizes(struct stats *stats, const json_t *reply)
{
    size_t i;
    json_t *entry;
    json_array_foreach (reply, i, entry) {
        scoped_free char *alias = device_alias(entry);
        struct disk_stats *disk = find_disk(stats->disks, stats->disk_count, alias);
        if (!disk)
            continue;
        const char *status = json_string_value(json_object_get(entry, "io-status"));
        disk->no_space = string_equal(status, "nospace");
        disk->failed = status && !string_equal(status, "ok") && !disk->no_space;
        size_layers(disk, json_object_get(entry, "inserted"));
    }
}

/* -- the rest ------------------------------------------------------------------------------------------------------ */

static void learn_vcpus(struct stats *stats, const json_t *reply)
{
    free(stats->vcpu_threads);
    stats->vcpu_threads = xcalloc(VCPUS_MAX, sizeof *stats->vcpu_threads);
    stats->vcpu_count = 0;
    size_t i;
    json_t *entry;
    json_array_foreach (reply, i, entry) {
        uint64_t index = number(entry, "cpu-index");
        if (index >= VCPUS_MAX)
            continue;
        stats->vcpu_threads[index] = (pid_t)number(entry, "thread-id");
        if (index >= stats->vcpu_count)
            stats->vcpu_count = (unsigned)index + 1;
    }
    stats->vcpu_threads = xrealloc(stats->vcpu_threads, (stats->vcpu_count + 1) * sizeof *stats->vcpu_threads);
}

static void learn_balloon(struct stats *stats, const json_t *reply)
{
    static const struct {
        const char *key;
        uint64_t unit;
    } rows[BALLOON_STATS] = {
        [BALLOON_SWAP_IN] = {"stat-swap-in", 1024},         [BALLOON_SWAP_OUT] = {"stat-swap-out", 1024},
        [BALLOON_MAJOR_FAULT] = {"stat-major-faults", 1},   [BALLOON_MINOR_FAULT] = {"stat-minor-faults", 1},
        [BALLOON_UNUSED] = {"stat-free-memory", 1024},      [BALLOON_AVAILABLE] = {"stat-total-memory", 1024},
        [BALLOON_USABLE] = {"stat-available-memory", 1024}, [BALLOON_DISK_CACHES] = {"stat-disk-caches", 1024},
        [BALLOON_HUGETLB_PGALLOC] = {"stat-htlb-pgalloc", 1}, [BALLOON_HUGETLB_PGFAIL] = {"stat-htlb-pgfail", 1},
    };
    const json_t *list = json_object_get(reply, "stats");
    for (size_t i = 0; i < BALLOON_STATS; i++) {
        /* QEMU says "not told" as 2^64-1, which it may print as -1 or as a number that is no integer for us */
        const json_t *value = json_object_get(list, rows[i].key);
        json_int_t told = json_is_integer(value) ? json_integer_value(value) : -1;
        stats->balloon[i] = told < 0 ? STAT_UNKNOWN : (uint64_t)told / rows[i].unit;
    }
    stats->balloon_updated = number(reply, "last-update");
}

static void iothreads_free(struct stats *stats)
{
    for (unsigned i = 0; i < stats->iothread_count; i++)
        free(stats->iothreads[i].id);
    free(stats->iothreads);
    stats->iothreads = NULL;
    stats->iothread_count = 0;
}

static void learn_iothreads(struct stats *stats, const json_t *reply)
{
    iothreads_free(stats);
    size_t count = json_array_size(reply);
    if (count > LIST_MAX)
        return;
    stats->iothreads = xcalloc(count + 1, sizeof *stats->iothreads);
    size_t i;
    json_t *entry;
    json_array_foreach (reply, i, entry) {
        const char *id = json_string_value(json_object_get(entry, "id"));
        if (!id)
            continue;
        stats->iothreads[stats->iothread_count++] = (struct iothread_stats){
            .id = xstrdup(id),
            .thread = (pid_t)number(entry, "thread-id"),
            .poll_max_ns = number(entry, "poll-max-ns"),
            .poll_grow = (uint32_t)number(entry, "poll-grow"),
            .poll_shrink = (uint32_t)number(entry, "poll-shrink"),
        };
    }
}

static void learn_dirty_rate(struct stats *stats, const json_t *reply)
{
    static const char *const modes[] = {"page-sampling", "dirty-bitmap", "dirty-ring"};
    const char *status = json_string_value(json_object_get(reply, "status"));
    const char *mode = json_string_value(json_object_get(reply, "mode"));
    stats->dirty_rate.status = string_equal(status, "measured")    ? DOMAIN_DIRTYRATE_MEASURED
                               : string_equal(status, "measuring") ? DOMAIN_DIRTYRATE_MEASURING
                                                                   : DOMAIN_DIRTYRATE_UNSTARTED;
    stats->dirty_rate.settled = stats->dirty_rate.status != DOMAIN_DIRTYRATE_MEASURING;
    stats->dirty_rate.start = (int64_t)number(reply, "start-time");
    stats->dirty_rate.period = (int64_t)number(reply, "calc-time");
    stats->dirty_rate.mib_per_s = (int64_t)number(reply, "dirty-rate");
    for (size_t i = 0; i < COUNT(modes); i++)
        if (i == 0 || string_equal(mode, modes[i]))
            stats->dirty_rate.mode = modes[i];
}

/* -- the table of questions ---------------------------------------------------------------------------------------- */

static bool has_disks(const struct domain_def *live, const struct stats *stats)
{
    return live->disks.count > 0;
}

static bool needs_sizes(const struct domain_def *live, const struct stats *stats)
{
    return live->disks.count && stats->sized != live;
}

static bool needs_vcpus(const struct domain_def *live, const struct stats *stats)
{
    return !stats->vcpu_threads;
}

static bool has_balloon_stats(const struct domain_def *live, const struct stats *stats)
{
    const struct memballoon *balloon = live->memballoon;
    return balloon && balloon->model == MEMBALLOON_MODEL_VIRTIO && balloon->stats_period && balloon->info.alias;
}

static bool has_iothreads(const struct domain_def *live, const struct stats *stats)
{
    return live->iothreads || live->iothread_ids.count;
}

static bool needs_dirty_rate(const struct domain_def *live, const struct stats *stats)
{
    return !stats->dirty_rate.settled;
}

static json_t *balloon_arguments(const struct domain_def *live)
{
    return json_pack("{s:s+, s:s}", "path", "/machine/peripheral/", live->memballoon->info.alias, "property",
                     "guest-stats");
}

static const struct question {
    unsigned ask;
    const char *command;
    bool (*needed)(const struct domain_def *live, const struct stats *stats);
    json_t *(*arguments)(const struct domain_def *live);
    void (*learn)(struct stats *stats, const json_t *reply);
} questions[] = {
    {ASK_BLOCK, "query-blockstats", has_disks, NULL, learn_counters},
    {ASK_BLOCK, "query-block", needs_sizes, NULL, learn_sizes},
    {ASK_DISK_STATUS, "query-block", has_disks, NULL, learn_sizes},
    {ASK_VCPUS, "query-cpus-fast", needs_vcpus, NULL, learn_vcpus},
    {ASK_BALLOON, "qom-get", has_balloon_stats, balloon_arguments, learn_balloon},
    {ASK_IOTHREADS, "query-iothreads", has_iothreads, NULL, learn_iothreads},
    {ASK_DIRTY_RATE, "query-dirty-rate", needs_dirty_rate, NULL, learn_dirty_rate},
};

/* What was sent to one guest. */
struct inquiry {
    struct domain *domain;
    struct qmp *qmp;
    struct domain_def *live; /* a reference: what the questions were about */
    struct qmp_batch *batch; /* NULL = nothing to ask */
    struct qmp_request requests[COUNT(questions)];
    const struct question *questions[COUNT(questions)];
    size_t count;
    bool silent;
};

static struct stats *stats_ensure(struct domain *domain)
{
    if (!domain->stats) {
        domain->stats = xcalloc(1, sizeof *domain->stats);
        for (size_t i = 0; i < BALLOON_STATS; i++)
            domain->stats->balloon[i] = STAT_UNKNOWN;
    }
    return domain->stats;
}

void stats_free(struct stats *stats)
{
    if (!stats)
        return;
    disk_list_free(stats->disks, stats->disk_count);
    forget_sizes(stats);
    iothreads_free(stats);
    free(stats->vcpu_threads);
    free(stats);
}

static void submit(struct inquiry *inquiry, struct domain *domain, unsigned ask)
{
    inquiry->domain = domain;
    inquiry->qmp = domain->qmp;
    if (!domain_active(domain) || !domain->qmp || qmp_is_closed(domain->qmp))
        return;
    const struct domain_def *live = domain->object.live;
    const struct stats *stats = stats_ensure(domain);
    uint64_t unanswered = qmp_unanswered_since(domain->qmp);
    if (unanswered && (!(ask & ASK_BUSY) || now_ns() - unanswered > UNANSWERED_MS * UINT64_C(1000000))) {
        inquiry->silent = true;
        return;
    }
    for (size_t i = 0; i < COUNT(questions); i++) {
        const struct question *question = &questions[i];
        if (!(ask & question->ask) || !question->needed(live, stats))
            continue;
        inquiry->questions[inquiry->count] = question;
        inquiry->requests[inquiry->count++] = (struct qmp_request){
            .command = question->command, .arguments = question->arguments ? question->arguments(live) : NULL};
    }
    if (!inquiry->count)
        return;
    inquiry->live = domain_def_ref(domain->object.live);
    inquiry->batch = qmp_submit(domain->qmp, inquiry->requests, inquiry->count);
}

/* True when the guest answered everything. */
static bool collect(struct inquiry *inquiry, deadline until)
{
    if (!inquiry->batch)
        return !inquiry->silent;
    struct domain *domain = inquiry->domain;
    inquiry->silent = qmp_collect(inquiry->batch, until, NULL) < 0;
    bool same = domain_active(domain) && domain->qmp == inquiry->qmp; /* it may have ended while we waited */
    for (size_t i = 0; same && i < inquiry->count; i++) {
        struct stats *stats = stats_ensure(domain);
        if (!inquiry->requests[i].reply)
            continue;
        inquiry->questions[i]->learn(stats, inquiry->requests[i].reply);
        if (inquiry->questions[i]->learn == learn_sizes) {
            forget_sizes(stats);
            stats->sized = domain_def_ref(inquiry->live);
        }
    }
    domain_def_free(inquiry->live);
    qmp_requests_finish(inquiry->requests, inquiry->count);
    return !inquiry->silent;
}

void stats_refresh(struct domain **domains, size_t count, unsigned ask, struct arena *arena)
{
    struct inquiry *inquiries = arena_new_array(arena, count, struct inquiry);
    for (size_t i = 0; i < count; i++)
        submit(&inquiries[i], domains[i], ask);
    deadline until = deadline_ms(STATS_BULK_MS);
    for (size_t i = 0; i < count; i++) {
        bool answered = collect(&inquiries[i], until) && inquiries[i].count;
        deadline next = deadline_ms(STATS_NEXT_MS);
        if (answered && next > until)
            until = next;
    }
}

const struct stats *stats_of(struct domain *domain, unsigned ask, struct error *err)
{
    if (domain_require_active(domain, err) < 0)
        return NULL;
    scoped_arena struct arena *arena = arena_new();
    struct inquiry *inquiry = arena_struct(arena, struct inquiry);
    submit(inquiry, domain, ask | ASK_BUSY);
    bool answered = collect(inquiry, deadline_ms(STATS_ONE_MS));
    if (domain_require_active(domain, err) < 0)
        return NULL;
    const struct stats *stats = stats_ensure(domain);
    bool known = !(ask & ASK_BLOCK && has_disks(domain->object.live, stats) && !stats->disks) &&
                 !(ask & ASK_VCPUS && !stats->vcpu_threads);
    if (answered || known)
        return stats;
    return error_null(err, ERR_OPERATION_TIMEOUT,
                      "QEMU of domain '%s' (pid %d) does not answer, and nothing is known of it from before",
                      domain_name(domain), domain->process ? (int)process_pid(domain->process) : 0);
}
