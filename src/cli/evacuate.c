/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/evacuate.h"

#include "cli/migrate_policy.h"

enum { PARALLEL_MOST = 1000 };

static const struct {
    const char *option;
    unsigned flag;
} move_flags[] = {
    {"copy-storage-all", MIGRATE_NON_SHARED_DISK},
    {"copy-storage-inc", MIGRATE_NON_SHARED_INC},
    {"tls", MIGRATE_TLS},
    {"unsafe", MIGRATE_UNSAFE},
};

static int read_number(struct invocation *in, const char *option, uint64_t most, uint64_t *value, struct error *err)
{
    int given = option_u64(in, option, most, value, err);
    if (given > 0 && !*value)
        return error_set(err, ERR_INVALID_ARG, "--%s takes a number from 1", option);
    return given;
}

static int read_options(struct evacuation *evacuation, struct error *err)
{
    struct invocation *in = evacuation->in;
    uint64_t parallel = 0;
    if (option_exclusive(in, err, "restore", "keep-definition", NULL) < 0 ||
        option_exclusive(in, err, "restore", "offline", NULL) < 0 ||
        option_exclusive(in, err, "copy-storage-all", "copy-storage-inc", NULL) < 0 ||
        read_number(in, "parallel", PARALLEL_MOST, &parallel, err) < 0 ||
        read_number(in, "bandwidth", INT64_MAX >> 20, &evacuation->bandwidth_mib, err) < 0)
        return -1;
    evacuation->parallel = (unsigned)parallel;
    evacuation->restore = option_given(in, "restore");
    evacuation->keep = option_given(in, "keep-definition");
    for (size_t i = 0; i < COUNT(move_flags); i++)
        evacuation->flags |= option_given(in, move_flags[i].option) ? move_flags[i].flag : 0;
    if (!evacuation->restore && option_given(in, "forget"))
        return error_set(err, ERR_INVALID_ARG, "--forget goes with --restore: it is about guests that cannot be "
                         "brought home, since they are nowhere");
    if (!evacuation->restore && !in->rest_count)
        return error_set(err, ERR_INVALID_ARG, "where shall the guests go? Name one destination or several: "
                         "evacuate --to qemu+ssh://HOST/system ...");
    if (in->rest_count > DESTINATIONS_MAX)
        return error_set(err, ERR_INVALID_ARG, "at most %d destinations can be named", DESTINATIONS_MAX);
    return 0;
}

/* One that cannot be reached takes nobody, and the others take all; when none can be reached nothing goes. */
static int reach_places(struct evacuation *evacuation, struct error *err)
{
    struct invocation *in = evacuation->in;
    struct place *reached = NULL, *lost = NULL;
    for (size_t i = 0; i < in->rest_count; i++) {
        size_t before = evacuation->other_count;
        struct place *place = evacuation_place(evacuation, in->rest[i]);
        if (evacuation->other_count == before && place->named)
            return error_set(err, ERR_INVALID_ARG, "the destination '%s' is named twice", in->rest[i]);
        place->named = true;
        *(place->control ? &reached : &lost) = place;
    }
    if (lost && !reached) {
        *err = lost->error;
        return -1;
    }
    return 0;
}

/* Guests that will not travel, before the others do. Returns how many cannot. */
static unsigned tell_who_stays(const struct evacuation *evacuation)
{
    unsigned impossible = 0;
    for (size_t i = 0; i < evacuation->count; i++) {
        const struct passenger *one = &evacuation->passengers[i];
        impossible += one->error.code != 0;
        if (output_is_json(evacuation->in) || option_given(evacuation->in, "plan"))
            continue;
        if (one->error.code)
            printf("%s: cannot be moved: %s\n", one->dom.name, one->error.message);
        else if (one->state == PASSENGER_STAYS)
            printf("%s: %s\n", one->dom.name, one->why);
    }
    return impossible;
}

/* Words that make no sense are found before anybody moves. */
static int check_policy(struct evacuation *evacuation, struct error *err)
{
    struct migration none = {.source = evacuation->home.control, .arena = evacuation->in->arena};
    params_init(&none.params, none.arena);
    return migrate_policy_steer(evacuation->in, &none, err);
}

static int evacuate(struct evacuation *evacuation, struct error *err)
{
    struct invocation *in = evacuation->in;
    if (check_policy(evacuation, err) < 0 || reach_places(evacuation, err) < 0 ||
        evacuation_settle(evacuation, err) < 0 ||
        (evacuation->restore ? evacuation_board_home(evacuation, err)
                             : evacuation_board(evacuation, option_given(in, "offline"), err)) < 0)
        return -1;
    evacuation_ask(evacuation);
    evacuation_plan(evacuation);
    unsigned impossible = tell_who_stays(evacuation);
    if (option_given(in, "plan")) {
        evacuation_print_plan(evacuation);
        return impossible ? -1 : 0;
    }
    if (!evacuation->count && !output_is_json(in)) {
        output_note(in, evacuation->restore ? "No guest is on record as evacuated from here\n"
                                            : "No guest is to be moved\n");
        return 0;
    }
    return evacuation_run(evacuation, err);
}

static int run_evacuate(struct invocation *in, struct error *err)
{
    struct evacuation evacuation = {.in = in};
    if (read_options(&evacuation, err) < 0)
        return -1;
    evacuation.home = (struct place){.uri = in->shell->connection->uri, .control = in->shell->connection,
                                     .named = true};
    evacuation.others = arena_new_array(in->arena, PLACES_MAX, struct place);
    int result = evacuate(&evacuation, err);
    for (size_t i = 0; i < evacuation.other_count; i++)
        connection_close(evacuation.others[i].control);
    return result;
}

static const struct command_option evacuate_options[] = {
    {"to", OPTION_REST, 0, "URIs of the destinations' daemons, as this client reaches them; with --restore: where else "
     "to look for guests"},
    {"plan", OPTION_BOOL, 0, "only show who would go where and why, and who cannot"},
    {"restore", OPTION_BOOL, 0, "bring home the guests that were moved away from here"},
    {"forget", OPTION_BOOL, 0, "with --restore: drop the records of guests that are found nowhere"},
    {"parallel", OPTION_NUMBER, OPTION_NAMED, "guests that are moved at once, at most; otherwise up to 4 for each "
     "destination"},
    {"offline", OPTION_BOOL, 0, "move the ones that do not run, too"},
    {"keep-definition", OPTION_BOOL, 0, "leave the definitions here as well, without autostart while the guests are "
     "away"},
    {"copy-storage-all", OPTION_BOOL, 0, "copy the disks too"},
    {"copy-storage-inc", OPTION_BOOL, 0, "copy the disks' top layers; their backing files are on both sides"},
    {"unsafe", OPTION_BOOL, 0, "do it even where data may get lost"},
    {"tls", OPTION_BOOL, 0, "encrypt the guests' state"},
    {"bandwidth", OPTION_NUMBER, OPTION_NAMED, "MiB/s for each guest"},
    MIGRATE_POLICY_OPTIONS,
    {0},
};

const struct command evacuate_commands[] = {
    {"evacuate", "domain", "move every guest of a host to others, and home again",
     "All that run are checked as by 'migrate --check', given to the destinations by memory, time and room, and moved "
     "live, several at once. Definitions and autostart go with them. One that fails stays where it is and the others "
     "go on; the exit code is then 1. Ctrl-C stops it; the same command goes on with those that are left. --restore "
     "brings the same guests home, as they are then.",
     evacuate_options, run_evacuate},
    {0},
};
