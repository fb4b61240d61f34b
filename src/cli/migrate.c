/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/migrate_check.h"
#include "cli/migrate_map.h"
#include "cli/migrate_offline.h"
#include "cli/migrate_owner.h"
#include "cli/migrate_policy.h"
#include "cli/migrate_verify.h"

#include <string.h>

#include "base/text.h"
#include "cli/event.h"
#include "cli/terminal.h"

#define PROGRESS_INTERVAL_MS 500

static const struct {
    const char *option;
    unsigned flag;
} migrate_flags[] = {
    {"live", MIGRATE_LIVE},
    {"offline", MIGRATE_OFFLINE},
    {"p2p", MIGRATE_PEER2PEER},
    {"tunnelled", MIGRATE_TUNNELLED},
    {"persistent", MIGRATE_PERSIST_DEST},
    {"undefinesource", MIGRATE_UNDEFINE_SOURCE},
    {"suspend", MIGRATE_PAUSED},
    {"copy-storage-all", MIGRATE_NON_SHARED_DISK},
    {"copy-storage-inc", MIGRATE_NON_SHARED_INC},
    {"copy-storage-synchronous-writes", MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES},
    {"change-protection", MIGRATE_CHANGE_PROTECTION},
    {"unsafe", MIGRATE_UNSAFE},
    {"compressed", MIGRATE_COMPRESSED},
    {"auto-converge", MIGRATE_AUTO_CONVERGE},
    {"rdma-pin-all", MIGRATE_RDMA_PIN_ALL},
    {"abort-on-error", MIGRATE_ABORT_ON_ERROR},
    {"postcopy", MIGRATE_POSTCOPY},
    {"postcopy-resume", MIGRATE_POSTCOPY_RESUME},
    {"zerocopy", MIGRATE_ZEROCOPY},
    {"tls", MIGRATE_TLS},
    {"parallel", MIGRATE_PARALLEL},
};

enum param_kind { PARAM_TEXT, PARAM_FILE, PARAM_LIST, PARAM_I32, PARAM_U64, PARAM_BOOL };

static const struct {
    const char *option, *param;
    enum param_kind kind;
} migrate_params[] = {
    {"migrateuri", MIGRATE_PARAM_URI, PARAM_TEXT},
    {"graphicsuri", MIGRATE_PARAM_GRAPHICS_URI, PARAM_TEXT},
    {"listen-address", MIGRATE_PARAM_LISTEN_ADDRESS, PARAM_TEXT},
    {"dname", MIGRATE_PARAM_DEST_NAME, PARAM_TEXT},
    {"xml", MIGRATE_PARAM_DEST_XML, PARAM_FILE},
    {"persistent-xml", MIGRATE_PARAM_PERSIST_XML, PARAM_FILE},
    {"migrate-disks", MIGRATE_PARAM_MIGRATE_DISKS, PARAM_LIST},
    {"disks-port", MIGRATE_PARAM_DISKS_PORT, PARAM_I32},
    {"disks-uri", MIGRATE_PARAM_DISKS_URI, PARAM_TEXT},
    {"comp-methods", MIGRATE_PARAM_COMPRESSION, PARAM_LIST},
    {"comp-mt-level", MIGRATE_PARAM_COMPRESSION_MT_LEVEL, PARAM_I32},
    {"comp-mt-threads", MIGRATE_PARAM_COMPRESSION_MT_THREADS, PARAM_I32},
    {"comp-mt-dthreads", MIGRATE_PARAM_COMPRESSION_MT_DTHREADS, PARAM_I32},
    {"comp-zlib-level", "compression.zlib.level", PARAM_I32},
    {"comp-zstd-level", "compression.zstd.level", PARAM_I32},
    {"comp-xbzrle-cache", MIGRATE_PARAM_COMPRESSION_XBZRLE_CACHE, PARAM_U64},
    {"auto-converge-initial", MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, PARAM_I32},
    {"auto-converge-increment", MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT, PARAM_I32},
    {"postcopy-bandwidth", MIGRATE_PARAM_BANDWIDTH_POSTCOPY, PARAM_U64},
    {"parallel-connections", MIGRATE_PARAM_PARALLEL_CONNECTIONS, PARAM_I32},
    {"bandwidth", MIGRATE_PARAM_BANDWIDTH, PARAM_U64},
    {"tls-destination", MIGRATE_PARAM_TLS_DESTINATION, PARAM_TEXT},
    {"verify", GODWIT_PARAM_VERIFY, PARAM_BOOL},
};

static int add_param(struct invocation *in, struct params *params, size_t row, struct error *err)
{
    const char *option = migrate_params[row].option, *name = migrate_params[row].param;
    const char *text = option_text(in, option);
    int32_t number;
    uint64_t large;
    switch (migrate_params[row].kind) {
    case PARAM_TEXT: params_add_string(params, name, text); return 0;
    case PARAM_FILE:
        if (!(text = xml_file_read(in, text, err)))
            return -1;
        params_add_string(params, name, text);
        return 0;
    case PARAM_LIST: {
        char *rest = arena_strdup(in->arena, text);
        for (char *word; (word = strsep(&rest, ","));)
            params_add_string(params, name, word);
        return 0;
    }
    case PARAM_I32:
        if (option_i32(in, option, 0, &number, err) < 0)
            return -1;
        params_add_i32(params, name, number);
        return 0;
    case PARAM_U64:
        if (option_u64(in, option, INT64_MAX, &large, err) < 0)
            return -1;
        params_add_u64(params, name, large);
        return 0;
    case PARAM_BOOL: params_add_u64(params, name, 1); return 0;
    }
    return 0;
}

/* What excludes or needs what; the daemons check the rest. */
static int check_options(struct invocation *in, struct error *err)
{
    static const struct {
        const char *option, *needs, *or;
    } needs[] = {
        {"tunnelled", "p2p", NULL},
        {"timeout-suspend", "timeout", NULL},
        {"timeout-postcopy", "timeout", NULL},
        {"timeout-postcopy", "postcopy", NULL},
        {"timeout", "live", NULL},
        {"postcopy-after-precopy", "postcopy", NULL},
        {"parallel-connections", "parallel", NULL},
        {"persistent-xml", "persistent", NULL},
        {"copy-storage-synchronous-writes", "copy-storage-all", "copy-storage-inc"},
    };
    if (option_exclusive(in, err, "live", "offline", NULL) < 0 || option_exclusive(in, err, "p2p", "direct", NULL) < 0
        ||
        option_exclusive(in, err, "timeout-suspend", "timeout-postcopy", NULL) < 0 ||
        option_exclusive(in, err, "copy-storage-all", "copy-storage-inc", NULL) < 0)
        return -1;
    for (size_t i = 0; i < COUNT(needs); i++)
        if (option_given(in, needs[i].option) && !option_given(in, needs[i].needs) &&
            !(needs[i].or && option_given(in, needs[i].or)))
            return error_set(err, ERR_INVALID_ARG, "--%s makes sense only with --%s", needs[i].option, needs[i].needs);
    return 0;
}

/* The migration runs in a fiber of its own, while the command watches it: progress, the time limit, Ctrl-C. */
struct migration_watch {
    struct invocation *in;
    struct migration *migration;
    struct condition changed;
    struct error error;
    int result;
    bool done, verbose, first_pass_over, postcopy_asked, abort_asked, timeout_acted;
    struct migrate_news news; /* of a migration that is steered */
    unsigned percent;
    bool shown;
};

static void migration_fiber(void *argument)
{
    struct migration_watch *watch = argument;
    watch->result = migration_run(watch->migration, &watch->error);
    watch->done = true;
    condition_wake(&watch->changed);
}

static void show_percent(struct migration_watch *watch, unsigned percent)
{
    if (!watch->verbose || percent < watch->percent)
        return;
    char left[64] = "";
    watch->percent = percent;
    watch->shown = true;
    if (watch->migration->steered)
        migrate_news_left(&watch->news, left, sizeof left);
    fprintf(stderr, "\rMigration: [%3u %%]%-*s", percent, watch->migration->steered ? 24 : 0, left);
    fflush(stderr);
}

/* Over the line of the progress, which is drawn again below it. */
static void show_news(void *owner, const char *text)
{
    fprintf(stderr, "\r%-42s\n", text);
    fflush(stderr);
}

static void show_progress(struct migration_watch *watch)
{
    struct domain_get_job_info_args args = {.dom = watch->migration->dom};
    struct domain_get_job_info_ret info;
    struct error ignored = {0};
    if (!watch->verbose ||
        remote_domain_get_job_info(watch->migration->source->client, &args, watch->in->arena, &info, &ignored) < 0)
        return;
    if ((info.type == DOMAIN_JOB_UNBOUNDED || info.type == DOMAIN_JOB_BOUNDED) && info.data_total && !watch->done) {
        double left = (double)info.data_remaining / (double)info.data_total;
        unsigned percent = left >= 1 ? 0 : (unsigned)((1 - left) * 100);
        show_percent(watch, percent > 99 ? 99 : percent); /* 100 is for the end */
    }
}

static void start_postcopy(struct migration_watch *watch)
{
    struct domain_migrate_start_post_copy_args args = {.dom = watch->migration->dom};
    struct error err = {0};
    watch->postcopy_asked = true;
    if (remote_domain_migrate_start_post_copy(watch->migration->source->client, &args, &err) < 0)
        output_warning(watch->in->shell, "cannot switch to post-copy: %s", err.message);
}

static void abort_job(struct migration_watch *watch)
{
    struct domain_abort_job_args args = {.dom = watch->migration->dom};
    struct error err = {0};
    watch->abort_asked = true;
    if (remote_domain_abort_job(watch->migration->source->client, &args, &err) < 0 && !watch->done)
        output_warning(watch->in->shell, "cannot abort the migration: %s", err.message);
}

static void act_on_timeout(struct migration_watch *watch)
{
    watch->timeout_acted = true;
    if (option_given(watch->in, "timeout-postcopy")) {
        start_postcopy(watch);
        return;
    }
    struct domain_suspend_args args = {.dom = watch->migration->dom};
    struct error err = {0};
    if (remote_domain_suspend(watch->migration->source->client, &args, &err) < 0 && !watch->done)
        output_warning(watch->in->shell, "the time is over, but the domain cannot be suspended: %s", err.message);
}

static void iteration_event(void *owner, const struct wire_procedure *procedure, const void *data)
{
    struct migration_watch *watch = owner;
    const struct event_kind *kind = event_kind_of(procedure);
    if (!kind || kind->id != DOMAIN_EVENT_ID_MIGRATION_ITERATION)
        return;
    const struct domain_event_callback_migration_iteration_event *event = data;
    if (event->iteration == 2 && memcmp(event->dom.uuid, watch->migration->dom.uuid, UUID_SIZE) == 0) {
        watch->first_pass_over = true;
        condition_wake(&watch->changed);
    }
}

/* --postcopy-after-precopy needs to hear when the first pass is over. Returns the callback's number or -1. */
static int32_t listen_iterations(struct migration_watch *watch, struct listener *listener, struct error *err)
{
    struct connection *source = watch->migration->source;
    struct connect_domain_event_callback_register_any_args args = {.event_id = DOMAIN_EVENT_ID_MIGRATION_ITERATION,
                                                                   .dom = &watch->migration->dom};
    struct connect_domain_event_callback_register_any_ret ret;
    connection_listen(source, listener);
    if (remote_connect_domain_event_callback_register_any(source->client, &args, watch->in->arena, &ret, err) < 0)
        return command_failed(err, "cannot hear how the migration goes on");
    return ret.callback_id;
}

static void watch_migration(struct migration_watch *watch, uint64_t timeout_s)
{
    scoped_interrupt struct interrupt *interrupt = interrupt_new(&watch->changed);
    deadline limit = timeout_s ? deadline_ms(timeout_s * 1000) : DEADLINE_NONE;
    bool hears = watch->verbose && watch->migration->steered;
    watch->news = (struct migrate_news){.in = watch->in, .migration = watch->migration, .over = &watch->done,
                                        .changed = &watch->changed, .finished = !hears, .line = show_news};
    fiber_start("migration", migration_fiber, watch);
    if (hears)
        fiber_start("news", migrate_news_fiber, &watch->news);
    while (!watch->done) {
        deadline turn = deadline_ms(PROGRESS_INTERVAL_MS);
        condition_wait(&watch->changed, turn < limit || watch->timeout_acted ? turn : limit, NULL);
        if (watch->done)
            break;
        if (interrupt_came(interrupt) && !watch->abort_asked)
            abort_job(watch);
        if (watch->first_pass_over && !watch->postcopy_asked)
            start_postcopy(watch);
        if (now_ns() >= limit && !watch->timeout_acted)
            act_on_timeout(watch);
        show_progress(watch);
    }
    while (!watch->news.finished)
        condition_wait(&watch->changed, DEADLINE_NONE, NULL);
    if (watch->result == 0)
        show_percent(watch, 100);
    if (watch->shown)
        fputc('\n', stderr);
}

static int watched_run(struct invocation *in, struct migration *migration, struct error *err)
{
    struct migration_watch watch = {.in = in, .migration = migration, .verbose = option_given(in, "verbose")};
    struct listener listener = {.event = iteration_event, .owner = &watch};
    uint64_t timeout_s = 0;
    int32_t callback = -1;
    if (option_u64(in, "timeout", UINT32_MAX, &timeout_s, err) < 0)
        return -1;
    if (option_given(in, "timeout") && !timeout_s)
        return error_set(err, ERR_INVALID_ARG, "--timeout takes a number of seconds from 1");
    condition_init(&watch.changed);
    list_init(&listener.link);
    bool listening = option_given(in, "postcopy-after-precopy");
    int result = listening ? callback = listen_iterations(&watch, &listener, err) : 0;
    if (result >= 0) {
        watch_migration(&watch, timeout_s);
        result = watch.result;
        if (result < 0)
            *err = watch.error;
    }
    connection_unlisten(&listener);
    if (callback >= 0) {
        struct connect_domain_event_callback_deregister_any_args args = {.callback_id = callback};
        struct error ignored = {0};
        remote_connect_domain_event_callback_deregister_any(migration->source->client, &args, &ignored);
    }
    return result < 0 ? -1 : 0;
}

/* To one of the destinations; the connection to it stays open. */
static int move(struct invocation *in, struct migration *migration, const struct destinations *destinations,
                struct connection **destination, struct error *err)
{
    const char *uri = option_text(in, "desturi");
    if (migrate_map(in, migration, err) < 0 || migrate_policy_add(in, migration, err) < 0)
        return -1;
    if (option_given(in, "check"))
        return migrate_check(in, migration, destinations, err);
    if (option_given(in, "direct")) {
        if (!option_given(in, "migrateuri"))
            params_add_string(&migration->params, MIGRATE_PARAM_URI, uri);
    } else {
        if (migrate_choose(in, migration, destinations, &uri, destination, err) < 0)
            return command_failed(err, "domain '%s' was not migrated", migration->dom.name);
        migration->peer_uri = option_given(in, "p2p") ? uri : NULL;
        migration->destination = *destination;
        migrate_policy_meet(migration);
        if (option_given(in, "verify") && *destination && !migration->steered_there)
            return error_set(err, ERR_NO_SUPPORT, "--verify compares at both ends, and '%s' is no godwitd: leave it "
                             "out", uri);
    }
    if (watched_run(in, migration, err) == 0)
        return migration->flags & MIGRATE_OFFLINE ? 0 : migrate_verify(in, migration, *destination, uri, err);
    const char *name = migration->dom.name;
    return migration->unsettled ? error_wrap(err, "whether domain '%s' was migrated is not known", name)
           : migration->arrived ? error_wrap(err, "domain '%s' was migrated, but that was not finished", name)
                                : command_failed(err, "domain '%s' was not migrated", name);
}

/* A guest that does not run, with its disks. */
static int move_offline(struct invocation *in, struct migration *migration, const struct destinations *destinations,
                        struct connection **destination, struct error *err)
{
    struct offline_copy copy = {.in = in, .migration = migration};
    struct error later = {0};
    if (offline_copy_begin(&copy, err) < 0)
        return -1;
    int rc = move(in, migration, destinations, destination, err);
    if (offline_copy_end(&copy, rc == 0 ? err : &later) < 0 && rc == 0)
        return -1;
    return rc;
}

static int run_migrate(struct invocation *in, struct error *err)
{
    struct migration migration = {.source = in->shell->connection, .arena = in->arena};
    scoped_connection struct connection *destination = NULL;
    struct destinations destinations;
    if (option_given(in, "status"))
        return migrate_status(in, err);
    if (option_given(in, "recover"))
        return migrate_recover(in, err);
    if (option_given(in, "policies"))
        return migrate_policies(in, err);
    params_init(&migration.params, in->arena);
    if (check_options(in, err) < 0 || destinations_read(in, &destinations, err) < 0)
        return -1;
    for (size_t i = 0; i < COUNT(migrate_flags); i++)
        migration.flags |= option_given(in, migrate_flags[i].option) ? migrate_flags[i].flag : 0;
    for (size_t i = 0; i < COUNT(migrate_params); i++)
        if (option_given(in, migrate_params[i].option) && add_param(in, &migration.params, i, err) < 0)
            return -1;
    if (domain_get(in, &migration.dom, err) < 0)
        return -1;
    bool copies = migration.flags & (MIGRATE_NON_SHARED_DISK | MIGRATE_NON_SHARED_INC);
    return migration.flags & MIGRATE_OFFLINE && copies && !option_given(in, "check")
               ? move_offline(in, &migration, &destinations, &destination, err)
               : move(in, &migration, &destinations, &destination, err);
}

static const struct command_option migrate_options[] = {
    DOMAIN_OPTION,
    {"desturi", OPTION_STRING, OPTION_REQUIRED, "URI of the destination's daemon, as this client (with --p2p: the "
     "source) reaches it"},
    {"status", OPTION_BOOL, OPTION_ALONE, "only list the migrations whose guest's owner is not settled"},
    {"recover", OPTION_BOOL, OPTION_ALONE, "settle a migration that was cut off: ask the destination who has the "
     "guest, and end it or let it go on here"},
    {"owner", OPTION_STRING, OPTION_NAMED, "with --recover, when the destination cannot be asked: source or "
     "destination"},
    {"policies", OPTION_BOOL, OPTION_ALONE, "only list the policies that the source knows, and their stages"},
    {"check", OPTION_BOOL, 0, "only say whether it could be moved, and what is in the way"},
    {"live", OPTION_BOOL, 0, "let the guest run meanwhile"},
    {"offline", OPTION_BOOL, 0, "move the definition of a domain that does not run; its disks, too, with "
     "--copy-storage-all"},
    {"p2p", OPTION_BOOL, 0, "the source's daemon talks to the destination's"},
    {"direct", OPTION_BOOL, 0, "the hypervisors do it without daemons"},
    {"tunnelled", OPTION_BOOL, 0, "send the guest's state through the daemons' connection"},
    {"persistent", OPTION_BOOL, 0, "define the domain on the destination"},
    {"undefinesource", OPTION_BOOL, 0, "remove the definition from the source"},
    {"suspend", OPTION_BOOL, 0, "leave the guest paused on the destination"},
    {"copy-storage-all", OPTION_BOOL, 0, "copy the disks too"},
    {"copy-storage-inc", OPTION_BOOL, 0, "copy the disks' top layers; their backing files are on both sides"},
    {"copy-storage-synchronous-writes", OPTION_BOOL, 0, "hold guest writes until the copy has them, so that it "
     "converges"},
    {"change-protection", OPTION_BOOL, 0, "refuse changes of the domain meanwhile"},
    {"unsafe", OPTION_BOOL, 0, "do it even where data may get lost"},
    {"verbose", OPTION_BOOL, 0, "show the progress"},
    {"compressed", OPTION_BOOL, 0, "compress pages that are sent again"},
    {"auto-converge", OPTION_BOOL, 0, "slow the guest down until it converges"},
    {"rdma-pin-all", OPTION_BOOL, 0, "RDMA: pin all memory first"},
    {"abort-on-error", OPTION_BOOL, 0, "give up at an I/O error of the guest"},
    {"postcopy", OPTION_BOOL, 0, "allow a switch to post-copy (see migrate-postcopy)"},
    {"postcopy-after-precopy", OPTION_BOOL, 0, "switch to post-copy after the first pass"},
    {"postcopy-resume", OPTION_BOOL, 0, "take up a post-copy that was interrupted"},
    {"zerocopy", OPTION_BOOL, 0, "send pages without copying them"},
    {"migrateuri", OPTION_STRING, 0, "where the guest's state goes; normally the destination says it"},
    {"graphicsuri", OPTION_STRING, 0, "where graphics clients go on"},
    {"listen-address", OPTION_STRING, 0, "address on which the destination listens for the state"},
    {"dname", OPTION_STRING, 0, "name on the destination"},
    {"timeout", OPTION_NUMBER, 0, "seconds after which a live migration is forced: by suspending the guest, or as "
     "--timeout-... says"},
    {"timeout-suspend", OPTION_BOOL, 0, "suspend the guest then"},
    {"timeout-postcopy", OPTION_BOOL, 0, "switch to post-copy then"},
    {"xml", OPTION_STRING, 0, "file with the XML for the destination"},
    MIGRATE_MAP_OPTIONS,
    {"migrate-disks", OPTION_STRING, 0, "disks to copy, with commas between them"},
    {"disks-port", OPTION_NUMBER, 0, "port on which the destination takes disks"},
    {"disks-uri", OPTION_STRING, 0, "where the disks go"},
    {"comp-methods", OPTION_STRING, 0, "ways of compression, with commas between them: xbzrle, mt; with "
     "--parallel zlib, zstd"},
    {"comp-mt-level", OPTION_NUMBER, 0, "mt: level"},
    {"comp-mt-threads", OPTION_NUMBER, 0, "mt: threads that compress"},
    {"comp-mt-dthreads", OPTION_NUMBER, 0, "mt: threads that decompress"},
    {"comp-zlib-level", OPTION_NUMBER, 0, "zlib: level, 0 to 9"},
    {"comp-zstd-level", OPTION_NUMBER, 0, "zstd: level, 0 to 20"},
    {"comp-xbzrle-cache", OPTION_NUMBER, 0, "xbzrle: bytes of its cache"},
    {"auto-converge-initial", OPTION_NUMBER, 0, "percent by which the guest is slowed down first"},
    {"auto-converge-increment", OPTION_NUMBER, 0, "percent more each time"},
    {"persistent-xml", OPTION_STRING, 0, "file with the XML of the destination's definition"},
    {"tls", OPTION_BOOL, 0, "encrypt the guest's state"},
    {"postcopy-bandwidth", OPTION_NUMBER, 0, "MiB/s of the post-copy phase"},
    {"parallel", OPTION_BOOL, 0, "send over several connections"},
    {"parallel-connections", OPTION_NUMBER, 0, "how many connections"},
    {"bandwidth", OPTION_NUMBER, 0, "MiB/s"},
    {"tls-destination", OPTION_STRING, 0, "name that the destination's certificate must have"},
    MIGRATE_POLICY_OPTIONS,
    {"verify", OPTION_BOOL, 0, "compare a sample of the guest's memory at both ends before it is let run there; it "
     "stands still some tenths of a second longer"},
    {0},
};

const struct command migrate_commands[] = {
    {"migrate", "domain", "move a domain to another host", "With --live while it runs. Ctrl-C aborts: the guest then "
     "goes on where it was. What the move needs is checked first; --check does nothing else. Of several destinations, "
     "the best is taken.", migrate_options, run_migrate},
    {0},
};
