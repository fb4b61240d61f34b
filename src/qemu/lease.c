/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

enum {
    LEASE_MS = 15000,
    LEASE_MAX = 2048,    /* bytes of one */
    PROBE_BYTE = 0x6777, /* of an image: none that QEMU locks */
};

enum task {
    TASK_LOOK,    /* only find out where locks do not work */
    TASK_TAKE,    /* make what is not there */
    TASK_RETAKE,  /* make what could not be taken, in the place of what was found then */
    TASK_REPLACE, /* make it, whoever had it */
    TASK_RELEASE, /* remove what is ours */
};

/* The worker's own. */
struct leases {
    enum task task;
    char *text; /* of a lease of this start of the guest */
    size_t count;
    struct held {
        char *image, *path, *target;
        bool written;          /* else it is only looked at */
        bool unlocked;         /* locks do not work here */
        int errnum;            /* the lease could not be written */
        char found[LEASE_MAX]; /* the lease that another has; "" = none */
    } items[];
};

static void leases_free(void *argument)
{
    struct leases *leases = argument;
    for (size_t i = 0; i < leases->count; i++) {
        free(leases->items[i].image);
        free(leases->items[i].path);
        free(leases->items[i].target);
    }
    free(leases->text);
    free(leases);
}

/* -- what a lease says: lines of `key value` ----------------------------------------------------------------------- */

/* Where the value of a key begins, and how long it is; NULL when there is none. */
static const char *line_of(const char *text, const char *key, size_t *length)
{
    size_t width = strlen(key);
    for (; text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
        if (strncmp(text, key, width) == 0 && text[width] == ' ') {
            *length = strcspn(text + width + 1, "\n");
            return text + width + 1;
        }
    return NULL;
}

static bool line_is_same(const char *a, const char *b, const char *key)
{
    size_t a_length = 0, b_length = 0;
    const char *in_a = line_of(a, key, &a_length), *in_b = line_of(b, key, &b_length);
    return in_a && in_b && a_length == b_length && memcmp(in_a, in_b, a_length) == 0;
}

/* -- on the worker ------------------------------------------------------------------------------------------------- */

static char *lease_path(const char *image)
{
    const char *name = strrchr(image, '/') + 1;
    return xprintf("%.*s.%s.godwit-lease", (int)(name - image), image, name);
}

/* An image that is reached by a link has the lease that it has by its own name. */
static void resolve(struct held *lease)
{
    scoped_free char *real = realpath(lease->image, NULL);
    if (!real)
        return;
    free(lease->path);
    lease->path = lease_path(real);
}

/* By trying it. A lock that somebody else holds is one that works. */
static bool locks_work(const char *image)
{
    scoped_fd int fd = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = PROBE_BYTE, .l_len = 1};
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return true;
    return errno != ENOLCK && errno != ENOSYS && errno != EOPNOTSUPP && errno != EINVAL;
}

static void read_lease(struct held *lease)
{
    scoped_fd int fd = open(lease->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    ssize_t length = fd >= 0 ? read(fd, lease->found, sizeof lease->found - 1) : 0;
    lease->found[length > 0 ? length : 0] = '\0';
}

/* On the disk, with its name. */
static int write_file(const char *path, int flags, const char *text)
{
    scoped_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0644);
    if (fd < 0)
        return -1;
    size_t length = strlen(text);
    return write(fd, text, length) == (ssize_t)length && fsync(fd) == 0 ? 0 : -1;
}

static int flush_name(const char *path)
{
    scoped_free char *folder = strndup(path, (size_t)(strrchr(path, '/') - path) + 1);
    scoped_fd int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return fd >= 0 && (fsync(fd) == 0 || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) ? 0 : -1;
}

static void take(struct held *lease, const char *text)
{
    if (write_file(lease->path, O_EXCL, text) == 0 && flush_name(lease->path) == 0)
        return;
    lease->errnum = errno;
    if (lease->errnum != EEXIST) {
        unlink(lease->path); /* half of one would keep everybody out */
        return;
    }
    read_lease(lease);
    if (!*lease->found)
        memcpy(lease->found, "?", 2);
}

/* Two guests of this host may find the same stale lease; only one of them may take its place. */
struct change {
    const char *path;
    struct change *next;
};
static pthread_mutex_t changes_lock = PTHREAD_MUTEX_INITIALIZER;
static struct change *changes;

static bool change_begin(struct change *change)
{
    bool alone = true;
    pthread_mutex_lock(&changes_lock);
    for (const struct change *other = changes; other && alone; other = other->next)
        alone = strcmp(other->path, change->path) != 0;
    if (alone) {
        change->next = changes;
        changes = change;
    }
    pthread_mutex_unlock(&changes_lock);
    return alone;
}

static void change_end(const struct change *change)
{
    pthread_mutex_lock(&changes_lock);
    struct change **at = &changes;
    while (*at != change)
        at = &(*at)->next;
    *at = change->next;
    pthread_mutex_unlock(&changes_lock);
}

static void retake(struct held *lease, const char *text)
{
    char stale[LEASE_MAX];
    struct change change = {.path = lease->path};
    memcpy(stale, lease->found, sizeof stale);
    lease->found[0] = '\0';
    lease->errnum = EBUSY;
    if (!change_begin(&change))
        return;
    read_lease(lease);
    if (!*lease->found || strcmp(lease->found, stale) == 0) {
        unlink(lease->path);
        lease->found[0] = '\0';
        lease->errnum = 0;
        take(lease, text);
    }
    change_end(&change);
}

static void replace(struct held *lease, const char *text)
{
    scoped_free char *fresh = xprintf("%s.new", lease->path);
    if (write_file(fresh, O_TRUNC, text) < 0 || rename(fresh, lease->path) < 0 || flush_name(lease->path) < 0)
        lease->errnum = errno;
}

static void release(struct held *lease, const char *text)
{
    struct change change = {.path = lease->path};
    if (!change_begin(&change))
        return; /* another guest takes its place */
    read_lease(lease);
    if (*lease->found && line_is_same(lease->found, text, "host-uuid") && line_is_same(lease->found, text, "uuid") &&
        line_is_same(lease->found, text, "id"))
        unlink(lease->path);
    change_end(&change);
}

static void work(void *argument)
{
    struct leases *leases = argument;
    for (size_t i = 0; i < leases->count; i++) {
        struct held *lease = &leases->items[i];
        if (lease->written)
            resolve(lease);
        if (leases->task == TASK_RETAKE) {
            if (lease->errnum)
                retake(lease, leases->text);
            continue;
        }
        lease->errnum = 0;
        if (leases->task == TASK_RELEASE) {
            if (lease->written)
                release(lease, leases->text);
            continue;
        }
        if (leases->task == TASK_REPLACE && !lease->written)
            continue;
        lease->unlocked = !locks_work(lease->image);
        if (!lease->unlocked || !lease->written)
            continue;
        if (leases->task == TASK_TAKE)
            take(lease, leases->text);
        else if (leases->task == TASK_REPLACE)
            replace(lease, leases->text);
    }
}

/* -- whose it is --------------------------------------------------------------------------------------------------- */

static char *lease_text(const struct domain *domain, const struct domain_def *live)
{
    char host[UUID_STRING_SIZE], guest[UUID_STRING_SIZE], since[32];
    time_t now = time(NULL);
    struct tm utc;
    uuid_format(domain->driver->options.host_uuid, host);
    uuid_format(domain->object.uuid, guest);
    strftime(since, sizeof since, "%FT%TZ", gmtime_r(&now, &utc));
    return xprintf("host %s\nhost-uuid %s\ndomain %s\nuuid %s\nid %d\nsince %s\n", domain->driver->options.hostname,
                   host, domain_name(domain), guest, live->id.value, since);
}

static char *line_copy(struct arena *arena, const char *text, const char *key)
{
    size_t length = 0;
    const char *value = line_of(text, key, &length);
    return value ? arena_strndup(arena, value, length) : arena_strdup(arena, "?");
}

/* Left by a crash of this host or its daemon. A guest that starts has its leases before it is active. */
static bool is_stale(const struct domain *domain, const struct leases *leases, const struct held *lease,
                     struct arena *arena)
{
    unsigned char uuid[UUID_SIZE];
    if (!line_is_same(lease->found, leases->text, "host-uuid") ||
        uuid_parse(line_copy(arena, lease->found, "uuid"), uuid) < 0)
        return false;
    struct object *object;
    HASH_FIND(by_uuid, domain->driver->domains.by_uuid, uuid, UUID_SIZE, object); /* a hidden one, too */
    const struct domain *other = object ? domain_of(object) : NULL;
    return !other || other == domain || (!domain_active(other) && !other->starting);
}

static int refuse(const struct leases *leases, const struct held *lease, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    if (!*lease->found)
        return error_system(err, lease->errnum,
                            "disk %s: locks do not work where '%s' lies, and the lease '%s' that takes their place "
                            "cannot be written", lease->target, lease->image, lease->path);
    return error_set(err, ERR_OPERATION_INVALID,
                     "disk %s: '%s' is in use by domain '%s' of host '%s' since %s, says the lease '%s' (locks do not "
                     "work there). Stop that guest first; if its host is dead for good, remove that file",
                     lease->target, lease->image, line_copy(arena, lease->found, "domain"),
                     line_copy(arena, lease->found, "host"), line_copy(arena, lease->found, "since"), lease->path);
}

/* -- from the loop ------------------------------------------------------------------------------------------------- */

static bool is_written(const struct disk *disk, const struct disk_source *source)
{
    return source == &disk->source && !disk->readonly && !disk->shareable && disk->device != DISK_DEVICE_CDROM;
}

static size_t each_layer(struct leases *leases, const struct domain_def *live)
{
    size_t count = 0;
    for (uint32_t i = 0; i < live->disks.count; i++) {
        const struct disk *disk = live->disks.item[i];
        for (const struct disk_source *source = &disk->source; source; source = source->backing) {
            if (!source->file || !strchr(source->file, '/'))
                continue;
            count++;
            if (leases)
                leases->items[leases->count++] = (struct held){
                    .image = xstrdup(source->file),
                    .path = lease_path(source->file),
                    .target = xstrdup(disk->target ? disk->target : ""),
                    .written = is_written(disk, source),
                };
        }
    }
    return count;
}

static struct leases *leases_new(const struct domain *domain, const struct domain_def *live, enum task task)
{
    struct leases *leases = xcalloc(1, sizeof *leases + each_layer(NULL, live) * sizeof leases->items[0]);
    leases->task = task;
    leases->text = lease_text(domain, live);
    each_layer(leases, live);
    return leases;
}

static void note_unlocked(struct domain_def *live, const struct leases *leases)
{
    size_t next = 0;
    for (uint32_t i = 0; i < live->disks.count; i++)
        for (struct disk_source *source = &live->disks.item[i]->source; source; source = source->backing)
            if (source->file && strrchr(source->file, '/'))
                source->unlocked = leases->items[next++].unlocked;
}

static bool is_lockless(const struct leases *leases)
{
    for (size_t i = 0; i < leases->count; i++)
        if (leases->items[i].written && leases->items[i].unlocked)
            return true;
    return false;
}

/* Those that this host's earlier guests left are to be retaken (again NULL: no more); anybody else's is an error. */
static int settle(const struct domain *domain, struct leases *leases, bool *again, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    for (size_t i = 0; i < leases->count; i++) {
        const struct held *lease = &leases->items[i];
        if (!lease->errnum)
            continue;
        if (!again || !*lease->found || !is_stale(domain, leases, lease, arena))
            return refuse(leases, lease, err);
        *again = true;
    }
    return 0;
}

static int await(struct leases *leases, struct error *err)
{
    if (!leases->count)
        return 0;
    return await_slow_work(work, leases_free, leases, deadline_ms(LEASE_MS), err);
}

int lease_take(struct domain *domain, struct domain_def *live, bool incoming, struct error *err)
{
    bool again = false;
    domain->lockless = false;
    if (slow_work_is_full()) /* as domain_check_files(): QEMU will find out about its files */
        return 0;
    struct leases *leases = leases_new(domain, live, incoming ? TASK_LOOK : TASK_TAKE);
    if (await(leases, err) < 0)
        return error_wrap(err, "whether locks work where the disks of domain '%s' lie", live->name);
    note_unlocked(live, leases);
    domain->lockless = is_lockless(leases);
    int rc = settle(domain, leases, &again, err);
    if (rc == 0 && again) {
        leases->task = TASK_RETAKE;
        if (await(leases, err) < 0) {
            lease_release(domain, live);
            return error_wrap(err, "taking the leases of the disks of domain '%s'", live->name);
        }
        rc = settle(domain, leases, NULL, err);
    }
    leases_free(leases);
    if (rc < 0)
        lease_release(domain, live); /* those of other disks that were free */
    return rc;
}

int lease_take_over(const struct domain *domain, struct error *err)
{
    if (!domain_active(domain) || !domain->lockless)
        return 0;
    struct leases *leases = leases_new(domain, domain->object.live, TASK_REPLACE);
    if (await(leases, err) < 0)
        return error_wrap(err, "taking over the leases of its disks");
    for (size_t i = 0; i < leases->count; i++)
        leases->items[i].found[0] = '\0';
    int rc = settle(domain, leases, NULL, err);
    leases_free(leases);
    return rc;
}

static void release_all(void *argument)
{
    struct error err = {0};
    if (await_slow_work(work, leases_free, argument, deadline_ms(LEASE_MS), &err) == 0)
        leases_free(argument);
    else
        log_warning("the leases of a guest that ended may stay: %s", err.message);
}

void lease_release(const struct domain *domain, const struct domain_def *live)
{
    if (domain->lockless)
        fiber_start("release leases", release_all, leases_new(domain, live, TASK_RELEASE));
}
