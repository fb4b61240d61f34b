/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/verify.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    LOW_BYTES = 1 << 20, /* below it firmware, option ROMs and devices write when a guest is loaded */
    PAGE_BYTES = 4096,
    RANGES_MAX = 64,
    SAVE_MS = 20000, /* for QEMU to write the pieces of a busy host */
    SUM_MS = 20000,
};

struct range {
    uint64_t at, bytes; /* guest-physical */
};

/* -- where the guest's RAM lies ------------------------------------------------------------------------------------ */

static bool is_backend(const char *name, const json_t *backends)
{
    const char *slash = strrchr(name, '/'); /* machine types before 5.0 name it by its whole path */
    size_t i;
    json_t *backend;
    json_array_foreach (backends, i, backend)
        if (string_equal(json_string_value(json_object_get(backend, "id")), slash ? slash + 1 : name))
            return true;
    return false;
}

/* "  0000000000100000-0000000003ffdfff (prio 0, ram): pc.ram @0000000000100000": RAM of the guest's own, not a screen's
 * or a device's. */
static bool read_range(struct range *range, char *line, const json_t *backends)
{
    unsigned long long first, last;
    char kind[16], name[128];
    if (sscanf(line, " %llx-%llx (prio %*d, %15[^)]): %127s", &first, &last, kind, name) != 4 ||
        strcmp(kind, "ram") != 0 || last < first || !is_backend(name, backends))
        return false;
    if (first < LOW_BYTES)
        first = LOW_BYTES;
    *range = (struct range){first, last < first ? 0 : last - first + 1};
    return range->bytes >= VERIFY_PIECE_BYTES;
}

/* The view of the address space "memory" in what `info mtree -f` prints. */
static size_t read_ranges(char *text, const json_t *backends, struct range ranges[RANGES_MAX])
{
    bool ours = false;
    size_t count = 0;
    for (char *line; (line = strsep(&text, "\n")) && count < RANGES_MAX;) {
        if (string_starts(line, "FlatView"))
            ours = false;
        else if (string_starts(line, " AS \"memory\""))
            ours = true;
        else if (ours && read_range(&ranges[count], line, backends))
            count++;
    }
    return count;
}

/* -- which pieces -------------------------------------------------------------------------------------------------- */

/* The piece that lies so far behind the begin of all RAM; at a range's end it moves down. */
static uint64_t piece_at(const struct range *ranges, uint64_t offset)
{
    while (offset >= ranges->bytes)
        offset -= ranges++->bytes;
    uint64_t most = ranges->bytes - VERIFY_PIECE_BYTES;
    return (ranges->at + (offset < most ? offset : most)) & ~(uint64_t)(PAGE_BYTES - 1);
}

static void choose(struct migration *migration, const struct range *ranges, size_t count)
{
    uint64_t total = 0;
    uint32_t random[VERIFY_PIECES];
    for (size_t i = 0; i < count; i++)
        total += ranges[i].bytes;
    uint64_t share = total / VERIFY_PIECES;
    if (getrandom(random, sizeof random, 0) != sizeof random)
        memset(random, 0, sizeof random); /* the beginning of each share, then */
    migration->memory = (struct cookie_memory){
        .bytes = VERIFY_PIECE_BYTES,
        .count = VERIFY_PIECES,
        .pieces = arena_new_array(migration->arena, VERIFY_PIECES, struct cookie_piece),
    };
    for (uint32_t i = 0; i < VERIFY_PIECES; i++)
        migration->memory.pieces[i].at = piece_at(ranges, total / VERIFY_PIECES * i + (share ? random[i] % share : 0));
}

int verify_choose_memory(struct migration *migration, struct error *err)
{
    struct domain *domain = migration->domain;
    struct range ranges[RANGES_MAX];
    scoped_json json_t *backends = qmp_command(domain->qmp, "query-memdev", NULL, monitor_deadline(), err);
    scoped_free char *tree = backends ? qmp_human(domain->qmp, "info mtree -f", monitor_deadline(), err) : NULL;
    if (!tree)
        return -1;
    size_t count = read_ranges(tree, backends, ranges);
    if (!count)
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "--verify: where the memory of domain '%s' lies could not be found out from its QEMU",
                         domain_name(domain));
    choose(migration, ranges, count);
    return 0;
}

/* -- their sums ---------------------------------------------------------------------------------------------------- */

/* The worker's own. Each piece is a file of its own, because QEMU begins a file anew with each pmemsave and is asked
 * for all of them at once. */
struct summing {
    char *directory;
    uint32_t count, bytes;
    uint32_t broken; /* files that were not as long as they should be */
    uint64_t sums[];
};

static void summing_free(void *argument)
{
    struct summing *summing = argument;
    free(summing->directory);
    free(summing);
}

static char *piece_path(const char *directory, uint32_t number)
{
    return xprintf("%s/memory-%u", directory, number);
}

/* FNV-1a: it is to find accidents, not forgeries. */
static uint64_t sum_of(const unsigned char *data, size_t length)
{
    uint64_t sum = 0xcbf29ce484222325;
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ data[i]) * 0x100000001b3;
    return sum;
}

static void sum_up(void *argument)
{
    struct summing *summing = argument;
    scoped_free unsigned char *data = malloc(summing->bytes);
    for (uint32_t i = 0; i < summing->count; i++) {
        scoped_free char *path = piece_path(summing->directory, i);
        scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = fd >= 0 && data ? read(fd, data, summing->bytes) : -1;
        if (got == (ssize_t)summing->bytes)
            summing->sums[i] = sum_of(data, summing->bytes);
        else
            summing->broken++;
        unlink(path);
    }
}

static int save_pieces(struct domain *domain, const struct cookie_memory *memory, const char *directory,
                       struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct qmp_request *requests = arena_new_array(arena, memory->count, struct qmp_request);
    for (uint32_t i = 0; i < memory->count; i++) {
        scoped_free char *path = piece_path(directory, i);
        requests[i] = (struct qmp_request){
            .command = "pmemsave",
            .arguments = json_pack("{s:I, s:i, s:s}", "val", (json_int_t)memory->pieces[i].at, "size",
                                   (int)memory->bytes, "filename", path)};
    }
    int rc = qmp_batch(domain->qmp, requests, memory->count, deadline_ms(SAVE_MS), err);
    qmp_requests_finish(requests, memory->count);
    return rc;
}

int verify_sum_memory(struct domain *domain, struct cookie_memory *memory, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct summing *summing = xcalloc(1, sizeof *summing + memory->count * sizeof summing->sums[0]);
    summing->directory = xstrdup(domain_lib_path(domain, arena));
    summing->count = memory->count;
    summing->bytes = memory->bytes;
    int saved = save_pieces(domain, memory, summing->directory, err);
    /* also when QEMU failed: what it wrote is removed */
    if (await_work(sum_up, summing_free, summing, deadline_ms(SUM_MS), saved < 0 ? NULL : err) < 0)
        return -1;
    int rc = saved;
    if (rc == 0 && summing->broken)
        rc = error_set(err, ERR_OPERATION_FAILED, "%u of %u pieces that QEMU should write to '%s' could not be read",
                       summing->broken, summing->count, summing->directory);
    for (uint32_t i = 0; rc == 0 && i < memory->count; i++)
        memory->pieces[i].sum = summing->sums[i];
    summing_free(summing);
    return rc;
}
