/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "model/xml.h"
#include "storage/block.h"
#include "storage/files.h"
#include "storage/pool.h"
#include "storage/qemu_img.h"
#include "storage/tool.h"

/* Logical volumes of an LVM volume group. */

#define NAME_LENGTH_MAX 127 /* lvm(8) */

static const char *group_of(const struct pool_def *def)
{
    return def->source.name;
}

/* What lvm(8) allows in names of groups and volumes. */
static int check_name(const char *what, const char *name, struct error *err)
{
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+_.-");
    if (*name && !name[good] && *name != '-' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
        strlen(name) <= NAME_LENGTH_MAX)
        return 0;
    return error_set(err, ERR_XML_ERROR, "'%.128s' cannot be the name of a %s: LVM allows letters, digits and + _ . -, "
                     "no - in front, at most %d", name, what, NAME_LENGTH_MAX);
}

static int check(struct pool_def *def, struct error *err)
{
    if (!def->source.name)
        def->source.name = def->name;
    if (check_name("volume group", group_of(def), err) < 0)
        return -1;
    for (unsigned i = 0; i < def->source.devices.count; i++)
        if (def->source.devices.item[i]->path[0] != '/')
            return error_set(err, ERR_XML_ERROR, "the device '%s' must be an absolute path",
                             def->source.devices.item[i]->path);
    def->target.path = arena_printf(def->arena, "/dev/%s", group_of(def)); /* where LVM shows the volumes */
    const char *const *formats = backend_formats(POOL_TYPE_LOGICAL);
    def->source.format = def->source.format ? backend_format(formats, def->source.format, "storage pool source", err)
                                            : formats[0];
    return def->source.format ? 0 : -1;
}

static bool same(const struct pool_def *a, const struct pool_def *b)
{
    return strcmp(group_of(a), group_of(b)) == 0;
}

/* -- lvm ----------------------------------------------------------------------------------------------------------- */

/* The rows of a report: an array that belongs to *document. */
static json_t *report(json_t **document, struct error *err, const char *program, const char *rows, const char *options,
                      const char *of)
{
    scoped_text struct text output = {0};
    if (tool_run(&output, err, program, "--reportformat", "json", "--units", "b", "--nosuffix", "--options", options,
                 of, NULL) < 0)
        return NULL;
    *document = json_read(text_string(&output), output.length, err);
    if (!*document)
        return error_null_wrap(err, "'%s' says what cannot be read", program);
    json_t *found = json_object_get(json_array_get(json_object_get(*document, "report"), 0), rows);
    return json_is_array(found) ? found : error_null(err, ERR_INTERNAL_ERROR, "'%s' reports no '%s'", program, rows);
}

static const char *word_of(const json_t *row, const char *key)
{
    const char *word = json_string_value(json_object_get(row, key));
    return word ? word : "";
}

static uint64_t bytes_of(const json_t *row, const char *key)
{
    uint64_t bytes = 0;
    parse_u64(word_of(row, key), 10, &bytes);
    return bytes;
}

static int read_space(const struct pool_def *def, struct pool_space *space, uint64_t *extent, struct error *err)
{
    scoped_json json_t *document = NULL;
    json_t *rows = report(&document, err, "vgs", "vg", "vg_size,vg_free,vg_extent_size", group_of(def));
    if (!rows)
        return -1;
    const json_t *row = json_array_get(rows, 0);
    uint64_t size = bytes_of(row, "vg_size"), rest = bytes_of(row, "vg_free");
    *space = (struct pool_space){.capacity = size, .available = rest, .allocation = size - rest};
    if (extent)
        *extent = bytes_of(row, "vg_extent_size");
    return 0;
}

/* A copy whose maker is gone: its name ends with the process. */
static void remove_litter(const char *group, const char *name, const char *prefix)
{
    const char *pid = string_after(name, prefix);
    scoped_free char *process = pid ? xprintf("/proc/%.*s", (int)strcspn(pid, "."), pid) : NULL;
    scoped_free char *volume = xprintf("%s/%s", group, name);
    if (process && access(process, F_OK) < 0)
        tool_run(NULL, NULL, "lvremove", "--yes", volume, NULL);
}

/* The first character of lv_attr says what it is, the fifth whether it is active: lvs(8). A pool is room for
 * volumes, none itself. */
static bool is_shown(const json_t *row)
{
    const char *attributes = word_of(row, "lv_attr");
    return strlen(attributes) >= 5 && !strchr("td", attributes[0]) && attributes[4] == 'a';
}

static void take_row(struct arena *arena, const struct pool_def *def, const json_t *row, struct listed *item)
{
    uint64_t size = bytes_of(row, "lv_size"), of_origin = bytes_of(row, "origin_size");
    const char *attributes = word_of(row, "lv_attr");
    double percent = 100;
    item->name = arena_strdup(arena, word_of(row, "lv_name"));
    item->path = arena_printf(arena, "%s/%s", def->target.path, item->name);
    item->key = arena_strdup(arena, word_of(row, "lv_uuid"));
    block_facts(item->path, of_origin && *attributes == 's' ? of_origin : size, &item->facts);
    if (*attributes == 'V') /* thin: it has what was written */
        parse_double(word_of(row, "data_percent"), &percent);
    item->facts.allocation = *attributes == 'V' ? (uint64_t)((double)size * percent / 100) : size;
}

#define VOLUME_FIELDS "lv_name,lv_uuid,lv_size,lv_attr,origin,origin_size,data_percent"

static int list(struct pool *pool, const struct pool_def *def, struct listing *listing, struct error *err)
{
    scoped_json json_t *document = NULL;
    json_t *rows = report(&document, err, "lvs", "lv", VOLUME_FIELDS, group_of(def)), *row;
    if (!rows || read_space(def, &listing->space, NULL, err) < 0)
        return -1;
    size_t i;
    const char *prefix = files_temporary_prefix(listing->arena, pool->storage);
    listing->items = arena_new_array(listing->arena, json_array_size(rows), struct listed);
    json_array_foreach (rows, i, row) {
        if (string_starts(word_of(row, "lv_name"), FILES_TEMPORARY))
            remove_litter(group_of(def), word_of(row, "lv_name"), prefix);
        else if (is_shown(row))
            take_row(listing->arena, def, row, &listing->items[listing->count++]);
    }
    return 0;
}

/* -- the pool ------------------------------------------------------------------------------------------------------ */

static int start(struct pool *pool, struct pool_def *def, struct error *err)
{
    struct pool_space space;
    if (block_require_module("/sys/class/misc/device-mapper", "dm_mod", err) < 0)
        return -1;
    if (read_space(def, &space, NULL, err) < 0)
        return error_wrap(err, "volume group '%s' cannot be read; build the pool if there is none yet", group_of(def));
    if (tool_run(NULL, err, "vgchange", "--activate", "ly", group_of(def), NULL) < 0)
        return -1;
    block_settle();
    return 0;
}

static int stop(struct pool *pool, const struct pool_def *def, struct error *err)
{
    return tool_run(NULL, err, "vgchange", "--activate", "ln", group_of(def), NULL);
}

static int make_group(const struct pool_def *def, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = argv_new(arena);
    argv_add(argv, "vgcreate");
    argv_add(argv, group_of(def));
    for (unsigned i = 0; i < def->source.devices.count; i++)
        argv_add(argv, def->source.devices.item[i]->path);
    return tool_run_argv(NULL, argv, err);
}

/* What belongs to a volume group is not given up, whatever the flags say. Only an active group's devices are busy:
 * wipefs would take those of others. */
static int check_ungrouped(const struct pool_def *def, struct error *err)
{
    scoped_json json_t *document = NULL;
    json_t *rows = report(&document, err, "pvs", "pv", "pv_name,vg_name", "--all"), *row;
    size_t i;
    if (!rows)
        return -1;
    for (unsigned d = 0; d < def->source.devices.count; d++) {
        const char *path = def->source.devices.item[d]->path;
        struct stat device, other;
        if (stat(path, &device) < 0)
            return error_system(err, errno, "cannot look at the device '%s'", path);
        json_array_foreach (rows, i, row) {
            const char *group = word_of(row, "vg_name");
            if (*group && stat(word_of(row, "pv_name"), &other) == 0 && device.st_rdev == other.st_rdev)
                return error_set(err, ERR_OPERATION_INVALID, "'%s' belongs to volume group '%s'; take it out of there "
                                 "first (vgreduce, or vgremove, then pvremove)", path, group);
        }
    }
    return 0;
}

static int prepare_device(const char *path, struct error *err)
{
    if (tool_run(NULL, err, "wipefs", "--all", "--", path, NULL) < 0)
        return -1;
    return tool_run(NULL, err, "pvcreate", "--yes", path, NULL);
}

static int build(struct pool *pool, const struct pool_def *def, unsigned flags, struct error *err)
{
    unsigned made = 0, count = def->source.devices.count;
    if (!count)
        return error_set(err, ERR_XML_ERROR, "a volume group is made of at least one <device>");
    if (block_require_module("/sys/class/misc/device-mapper", "dm_mod", err) < 0)
        return -1;
    for (unsigned i = 0; i < count; i++)
        if (!(flags & STORAGE_POOL_BUILD_OVERWRITE) &&
            device_check_empty(def->source.devices.item[i]->path, err) < 0)
            return -1;
    if (check_ungrouped(def, err) < 0)
        return -1;
    while (made < count && prepare_device(def->source.devices.item[made]->path, err) == 0)
        made++;
    if (made == count && make_group(def, err) == 0)
        return 0;
    bool before = fiber_shield(true);
    while (made--)
        tool_run(NULL, NULL, "pvremove", "--yes", def->source.devices.item[made]->path, NULL);
    fiber_shield(before);
    return -1;
}

static int erase(struct pool *pool, const struct pool_def *def, struct error *err)
{
    scoped_json json_t *document = NULL;
    json_t *rows = report(&document, err, "pvs", "pv", "pv_name,vg_name", "--all"), *row;
    scoped_json json_t *group_document = NULL;
    json_t *groups = rows ? report(&group_document, err, "vgs", "vg", "lv_count", group_of(def)) : NULL;
    size_t i;
    if (!groups)
        return -1;
    uint64_t volumes = bytes_of(json_array_get(groups, 0), "lv_count");
    if (volumes)
        return error_set(err, ERR_OPERATION_INVALID, "volume group '%s' has %" PRIu64 " logical volumes; delete them "
                         "first", group_of(def), volumes);
    if (tool_run(NULL, err, "vgremove", group_of(def), NULL) < 0)
        return -1;
    json_array_foreach (rows, i, row)
        if (strcmp(word_of(row, "vg_name"), group_of(def)) == 0 &&
            tool_run(NULL, err, "pvremove", word_of(row, "pv_name"), NULL) < 0)
            return -1;
    return 0;
}

/* One <source> a group, with its devices. */
static int find(const struct pool_source *spec, struct text *out, struct error *err)
{
    scoped_json json_t *document = NULL;
    json_t *rows = report(&document, err, "pvs", "pv", "pv_name,vg_name", "--all"), *row, *other;
    scoped_arena struct arena *arena = arena_new();
    size_t i, j;
    if (!rows)
        return -1;
    json_array_foreach (rows, i, row) {
        const char *group = word_of(row, "vg_name");
        struct pool_source source = {.name = group, .format = "lvm2"};
        bool told = !*group;
        json_array_foreach (rows, j, other) {
            if (strcmp(word_of(other, "vg_name"), group) != 0)
                continue;
            told |= j < i;
            struct pool_device *device = arena_struct(arena, struct pool_device);
            device->path = word_of(other, "pv_name");
            list_add(arena, &source.devices, device);
        }
        if (!told)
            pool_source_format(out, &source);
    }
    return 0;
}

/* -- volumes ------------------------------------------------------------------------------------------------------- */

/* Looks at one anew. LVM rounds sizes up to whole extents. */
static int reread(struct volume *volume, struct error *err)
{
    const struct pool_def *def = volume->pool->object.live;
    scoped_free char *path = xprintf("%s/%s", group_of(def), volume->name);
    scoped_json json_t *document = NULL;
    json_t *rows = report(&document, err, "lvs", "lv", VOLUME_FIELDS, path);
    scoped_arena struct arena *arena = arena_new();
    struct listed item = {0};
    if (!rows || read_space(def, &volume->pool->space, NULL, err) < 0)
        return -1;
    take_row(arena, def, json_array_get(rows, 0), &item);
    volume->facts = item.facts;
    free(volume->key);
    volume->key = xstrdup(item.key);
    return 0;
}

/* lvcreate(8): plain, sparse (a snapshot of nothing, of `allocation` bytes), or a snapshot of another volume. */
static int make_volume(const struct creation *creation, const char *name, struct error *err)
{
    const struct pool_def *def = creation->pool->object.live;
    const struct volume_target *backing = creation->def->backing;
    bool sparse = !backing && !creation->source && creation->allocation < creation->capacity;
    struct pool_space space;
    uint64_t extent;
    if (read_space(def, &space, &extent, err) < 0)
        return -1;
    uint64_t size = sparse || backing ? creation->allocation : creation->capacity;
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = argv_new(arena);
    argv_add(argv, "lvcreate");
    argv_add(argv, "--yes");
    argv_addf(argv, "--name=%s", name);
    argv_addf(argv, "--size=%" PRIu64 "b", size < extent ? extent : (size + 511) / 512 * 512);
    if (sparse)
        argv_addf(argv, "--virtualsize=%" PRIu64 "b", (creation->capacity + 511) / 512 * 512);
    argv_add(argv, sparse || backing ? "--type=snapshot" : "--wipesignatures=y");
    argv_add(argv, backing ? backing->path : group_of(def));
    return tool_run_argv(NULL, argv, err);
}

static int check_creation(const struct creation *creation, struct error *err)
{
    const struct pool_def *def = creation->pool->object.live;
    if (check_name("logical volume", creation->def->name, err) < 0)
        return -1;
    if (creation->capacity == 0 && !creation->def->backing)
        return error_set(err, ERR_INVALID_ARG, "a logical volume cannot have 0 bytes");
    if (!creation->def->backing)
        return 0;
    const char *rest = string_after(creation->def->backing->path, def->target.path);
    if (creation->source || !rest || *rest != '/')
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "a logical volume with a backing store is a snapshot of a volume "
                         "of the same group: '%s' is not one of '%s'", creation->def->backing->path, group_of(def));
    return 0;
}

/* Takes back what was begun. */
static void remove_named(const struct pool_def *def, const char *name)
{
    scoped_free char *volume = xprintf("%s/%s", group_of(def), name);
    tool_run(NULL, NULL, "lvremove", "--yes", volume, NULL);
}

/* A copy has a name of its own until it is whole. */
static int copy(struct creation *creation, struct volume *volume, struct error *err)
{
    const struct pool_def *def = creation->pool->object.live;
    scoped_arena struct arena *arena = arena_new();
    const char *name = arena_printf(arena, "%s%d.%u", files_temporary_prefix(arena, creation->pool->storage),
                                    (int)getpid(), creation->pool->storage->made++);
    const char *path = arena_printf(arena, "%s/%s", def->target.path, name);
    if (make_volume(creation, name, err) < 0)
        return -1;
    block_settle();
    if (qemu_img_fill(creation, path, err) == 0 &&
        tool_run(NULL, err, "lvrename", group_of(def), name, volume->name, NULL) == 0)
        return 0;
    bool before = fiber_shield(true);
    remove_named(def, name);
    fiber_shield(before);
    return -1;
}

static int create(struct creation *creation, struct volume *volume, struct error *err)
{
    scoped_job struct job job = {0};
    pool_job_asked_by(&job, creation->client);
    if (check_creation(creation, err) < 0)
        return -1;
    if (creation->source) {
        if (copy(creation, volume, err) < 0)
            return -1;
    } else if (job_begin(&job, &creation->pool->object, JOB_MODIFY, "add a volume to", err) < 0 ||
               make_volume(creation, volume->name, err) < 0) {
        return -1;
    }
    block_settle();
    bool before = fiber_shield(true);
    int rc = reread(volume, err);
    if (rc < 0)
        remove_named(creation->pool->object.live, volume->name);
    fiber_shield(before);
    volume->hidden = rc < 0;
    return rc;
}

/* Removing an origin would take its snapshots along. */
static int check_no_snapshots(const struct pool_def *def, const char *name, struct error *err)
{
    scoped_json json_t *document = NULL;
    json_t *rows = report(&document, err, "lvs", "lv", VOLUME_FIELDS, group_of(def)), *row;
    size_t i;
    if (!rows)
        return -1;
    json_array_foreach (rows, i, row)
        if (strcmp(word_of(row, "origin"), name) == 0)
            return error_set(err, ERR_OPERATION_INVALID, "'%s' is a snapshot of it and would be lost; delete that "
                             "first", word_of(row, "lv_name"));
    return 0;
}

static int remove_volume(struct volume *volume, struct error *err)
{
    const struct pool_def *def = volume->pool->object.live;
    scoped_free char *path = xprintf("%s/%s", group_of(def), volume->name);
    if (check_no_snapshots(def, volume->name, err) < 0 || tool_run(NULL, err, "lvremove", "--yes", path, NULL) < 0)
        return -1;
    return read_space(def, &volume->pool->space, NULL, err);
}

static int resize(struct volume *volume, uint64_t capacity, bool allocate, bool shrink, struct error *err)
{
    const struct pool_def *def = volume->pool->object.live;
    scoped_free char *path = xprintf("%s/%s", group_of(def), volume->name);
    scoped_free char *size = xprintf("--size=%" PRIu64 "b", (capacity + 511) / 512 * 512);
    if (capacity == 0)
        return error_set(err, ERR_INVALID_ARG, "a logical volume cannot have 0 bytes");
    if (capacity != volume->facts.capacity &&
        tool_run(NULL, err, shrink ? "lvreduce" : "lvextend", "--yes", "--force", size, path, NULL) < 0)
        return -1;
    return reread(volume, err);
}

const struct backend logical_backend = {
    .type = POOL_TYPE_LOGICAL,
    .program = "lvs",
    .package = "lvm2",
    .check = check,
    .same = same,
    .build = build,
    .start = start,
    .stop = stop,
    .erase = erase,
    .list = list,
    .create = create,
    .remove = remove_volume,
    .resize = resize,
    .find = find,
};
