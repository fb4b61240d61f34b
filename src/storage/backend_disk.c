/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "storage/block.h"
#include "storage/files.h"
#include "storage/pool.h"
#include "storage/tool.h"

/* Partitions of a disk, by parted. */

#define NODE_MS    5000 /* until udev has made the device of a new partition */
#define ALIGNMENT  (UINT64_C(1) << 20)

/* The words of the definition and parted's. */
static const struct {
    const char *format, *label;
} labels[] = {{"dos", "msdos"}, {"gpt", "gpt"}, {"bsd", "bsd"}, {"mac", "mac"}, {"dvh", "dvh"}, {"pc98", "pc98"},
              {"sun", "sun"}};

/* What a volume's format means to parted: a file system type that mkpart records, or a flag. */
static const struct kind {
    const char *format, *file_system, *flag;
} kinds[] = {
    {"none", NULL, NULL},
    {"linux", "ext2", NULL},
    {"fat16", "fat16", NULL},
    {"fat32", "fat32", NULL},
    {"linux-swap", "linux-swap", "swap"},
    {"linux-lvm", NULL, "lvm"},
    {"linux-raid", NULL, "raid"},
    {"extended", NULL, NULL},
};

static const char *device_of(const struct pool_def *def)
{
    return def->source.devices.item[0]->path;
}

static int check(struct pool_def *def, struct error *err)
{
    if (def->source.devices.count != 1 || device_of(def)[0] != '/')
        return error_set(err, ERR_XML_ERROR, "missing storage pool source device name: a pool of type 'disk' has one "
                         "<device> with an absolute path");
    if (!def->target.path)
        def->target.path = "/dev";
    if (strcmp(def->target.path, "/dev") != 0)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "a pool of type 'disk' shows its partitions in /dev, not in '%s'",
                         def->target.path);
    const char *const *formats = backend_formats(POOL_TYPE_DISK);
    def->source.format = def->source.format ? backend_format(formats, def->source.format, "storage pool source", err)
                                            : formats[0];
    return def->source.format ? 0 : -1;
}

static bool same(const struct pool_def *a, const struct pool_def *b)
{
    scoped_free char *first = realpath(device_of(a), NULL), *second = realpath(device_of(b), NULL);
    return strcmp(first ? first : device_of(a), second ? second : device_of(b)) == 0;
}

/* "/dev/sda3", "/dev/nvme0n1p3". */
static char *node_of(struct arena *arena, const struct pool_def *def, unsigned number)
{
    scoped_free char *real = realpath(device_of(def), NULL);
    const char *device = real ? real : device_of(def);
    bool separate = isdigit((unsigned char)device[strlen(device) - 1]) ||
                    def->source.devices.item[0]->part_separator == YESNO_YES;
    return arena_printf(arena, "%s%s%u", device, separate ? "p" : "", number);
}

/* -- parted -------------------------------------------------------------------------------------------------------- */

static int parted(const struct pool_def *def, struct text *output, struct error *err, ...)
{
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = argv_new(arena);
    argv_add(argv, "parted");
    argv_add(argv, output ? "-sj" : "-s");
    argv_add(argv, device_of(def));
    va_list words;
    va_start(words, err);
    for (const char *word; (word = va_arg(words, const char *));)
        argv_add(argv, word);
    va_end(words);
    return tool_run_argv(output, argv, err);
}

struct partition {
    unsigned number;     /* 0 = free room */
    uint64_t start, end; /* bytes, end exclusive */
    bool extended, inner; /* a container; inside of one */
    const char *format;  /* a literal */
};

struct disk_map {
    struct arena *arena;
    uint64_t size;
    const char *label;   /* "unknown": none */
    unsigned most;       /* primary partitions that there may be */
    struct partition *items;
    size_t count;
};

static const char *text_member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static uint64_t bytes_member(const json_t *object, const char *key)
{
    uint64_t bytes = 0;
    sscanf(text_member(object, key), "%" SCNu64, &bytes);
    return bytes;
}

static const char *format_of(const json_t *object)
{
    size_t n;
    json_t *flag;
    json_array_foreach (json_object_get(object, "flags"), n, flag)
        for (size_t i = 0; i < COUNT(kinds); i++)
            if (kinds[i].flag && string_equal(kinds[i].flag, json_string_value(flag)))
                return kinds[i].format;
    return strcmp(text_member(object, "type"), "extended") == 0 ? "extended" : "none";
}

static void map_add(struct disk_map *map, const json_t *object)
{
    const char *type = text_member(object, "type");
    struct partition *item = &map->items[map->count++];
    *item = (struct partition){
        .number = (unsigned)json_integer_value(json_object_get(object, "number")),
        .start = bytes_member(object, "start"),
        .end = bytes_member(object, "end") + 1,
        .extended = strcmp(type, "extended") == 0,
        .format = format_of(object),
    };
    for (size_t i = 0; i + 1 < map->count; i++)
        item->inner |= map->items[i].extended && item->start >= map->items[i].start && item->end <= map->items[i].end;
}

static int read_map(struct arena *arena, const struct pool_def *def, struct disk_map *map, struct error *err)
{
    scoped_text struct text output = {0};
    struct error problem = {0};
    struct stat status;
    if (stat(device_of(def), &status) < 0)
        return error_system(err, errno, "cannot find the device '%s'", device_of(def));
    if (!S_ISBLK(status.st_mode))
        return error_set(err, ERR_INVALID_ARG, "'%s' is not a block device", device_of(def));
    /* a disk without a table is told, too, but counts as a failure */
    int rc = parted(def, &output, &problem, "unit", "B", "print", "free", NULL);
    scoped_json json_t *json = json_read(text_string(&output), output.length, err);
    json_t *disk = json_object_get(json, "disk"), *partitions = json_object_get(disk, "partitions"), *item;
    if (!disk)
        return error_set(err, ERR_INTERNAL_ERROR, "cannot read the partition table of '%s': %s", device_of(def),
                         rc < 0 ? problem.message : "parted told nothing");
    *map = (struct disk_map){.arena = arena, .size = bytes_member(disk, "size"),
                             .label = arena_strdup(arena, text_member(disk, "label")),
                             .most = (unsigned)json_integer_value(json_object_get(disk, "max-partitions"))};
    map->items = arena_new_array(arena, json_array_size(partitions), struct partition);
    size_t n;
    json_array_foreach (partitions, n, item)
        map_add(map, item);
    return 0;
}

static const char *label_of(const struct pool_def *def)
{
    for (size_t i = 0; i < COUNT(labels); i++)
        if (strcmp(labels[i].format, def->source.format) == 0)
            return labels[i].label;
    return NULL;
}

/* The table that the definition speaks of must be there. */
static int check_label(const struct pool_def *def, const struct disk_map *map, struct error *err)
{
    const char *wanted = label_of(def);
    if (strcmp(map->label, "unknown") == 0 || !*map->label)
        return error_set(err, ERR_OPERATION_INVALID, "there is no partition table on '%s'; build the pool first",
                         device_of(def));
    if (wanted && strcmp(wanted, map->label) != 0)
        return error_set(err, ERR_OPERATION_INVALID, "the partition table of '%s' is of type '%s', not '%s' as the "
                         "pool says", device_of(def), map->label, wanted);
    return 0;
}

/* -- the pool ------------------------------------------------------------------------------------------------------ */

static int build(struct pool *pool, const struct pool_def *def, unsigned flags, struct error *err)
{
    const char *label = strcmp(def->source.format, "unknown") == 0 ? "msdos" : label_of(def);
    scoped_arena struct arena *arena = arena_new();
    struct disk_map map;
    if (!label)
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "a partition table of type '%s' cannot be made here",
                         def->source.format);
    if (read_map(arena, def, &map, err) < 0 ||
        (!(flags & STORAGE_POOL_BUILD_OVERWRITE) && device_check_empty(device_of(def), err) < 0))
        return -1;
    return parted(def, NULL, err, "mklabel", label, NULL);
}

/* The kernel may not know the partitions yet: of a loop device, for instance. */
static void tell_kernel(const struct pool_def *def)
{
    tool_run(NULL, NULL, "partx", "--update", device_of(def), NULL);
}

static int await_node(const struct pool_def *def, const char *node, struct error *err)
{
    if (access(node, F_OK) == 0)
        return 0;
    tell_kernel(def);
    for (deadline until = deadline_ms(NODE_MS); access(node, F_OK) < 0;) {
        if (now_ns() > until)
            return error_set(err, ERR_OPERATION_TIMEOUT, "the device '%s' of the partition does not appear", node);
        await_sleep(deadline_ms(20), NULL);
    }
    return 0;
}

static int start(struct pool *pool, struct pool_def *def, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct disk_map map;
    if (read_map(arena, def, &map, err) < 0 || check_label(def, &map, err) < 0)
        return -1;
    for (size_t i = 0; i < map.count; i++)
        if (map.items[i].number && await_node(def, node_of(arena, def, map.items[i].number), err) < 0)
            return -1;
    return 0;
}

static void take_partition(const char *node, const struct partition *item, struct volume_facts *facts)
{
    block_facts(node, item->end - item->start, facts);
    facts->format = item->format;
    facts->start = item->start;
    facts->end = item->end;
}

static void take_space(const struct disk_map *map, struct pool_space *space)
{
    *space = (struct pool_space){.capacity = map->size};
    for (size_t i = 0; i < map->count; i++) {
        if (!map->items[i].number)
            space->available += map->items[i].end - map->items[i].start;
        else if (!map->items[i].extended)
            space->allocation += map->items[i].end - map->items[i].start;
    }
}

static int list(struct pool *pool, const struct pool_def *def, struct listing *listing, struct error *err)
{
    struct disk_map map;
    if (read_map(listing->arena, def, &map, err) < 0 || check_label(def, &map, err) < 0)
        return -1;
    listing->items = arena_new_array(listing->arena, map.count, struct listed);
    for (size_t i = 0; i < map.count; i++) {
        if (!map.items[i].number)
            continue;
        struct listed *item = &listing->items[listing->count++];
        item->path = item->key = node_of(listing->arena, def, map.items[i].number);
        item->name = strrchr(item->path, '/') + 1;
        take_partition(item->path, &map.items[i], &item->facts);
    }
    take_space(&map, &listing->space);
    return 0;
}

/* -- partitions ---------------------------------------------------------------------------------------------------- */

struct place {
    uint64_t start, end; /* end exclusive */
    unsigned number;
    bool logical;
};

static bool number_taken(const struct disk_map *map, unsigned number)
{
    for (size_t i = 0; i < map->count; i++)
        if (map->items[i].number == number)
            return true;
    return false;
}

/* The first free room in which the partition fits, and the number that it will get there: the lowest one. */
static int find_place(const struct disk_map *map, uint64_t capacity, bool extended, struct place *place,
                      struct error *err)
{
    bool msdos = strcmp(map->label, "msdos") == 0, room = false;
    for (size_t i = 0; i < map->count; i++) {
        const struct partition *item = &map->items[i];
        bool logical = msdos && item->inner;
        if (item->number || (logical && extended))
            continue;
        unsigned first = logical ? map->most + 1 : 1, number = first;
        while (number_taken(map, number))
            number++;
        /* a logical one has its own description in front of it */
        uint64_t start = (item->start + logical + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        if (start >= item->end || item->end - start < capacity)
            continue;
        room = true;
        if (!logical && number > map->most)
            continue;
        *place = (struct place){start, start + capacity, number, logical};
        return 0;
    }
    return room ? error_set(err, ERR_OPERATION_INVALID, "the partition table has no entry left: all %u are taken%s",
                            map->most, msdos ? "; make one of format 'extended' while there is one" : "")
                : error_set(err, ERR_OPERATION_FAILED, "no free part of the disk has %" PRIu64 " bytes", capacity);
}

static const struct kind *kind_of(const char *format)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (strcmp(kinds[i].format, format) == 0)
            return &kinds[i];
    return &kinds[0];
}

static int make_partition(const struct pool_def *def, const struct place *place, const struct kind *kind,
                          struct error *err)
{
    char from[32], to[32], number[16];
    snprintf(from, sizeof from, "%" PRIu64 "B", place->start);
    snprintf(to, sizeof to, "%" PRIu64 "B", place->end - 1);
    snprintf(number, sizeof number, "%u", place->number);
    const char *type = strcmp(kind->format, "extended") == 0 ? "extended" : place->logical ? "logical" : "primary";
    int rc = kind->file_system ? parted(def, NULL, err, "mkpart", type, kind->file_system, from, to, NULL)
                               : parted(def, NULL, err, "mkpart", type, from, to, NULL);
    if (rc == 0 && kind->flag)
        rc = parted(def, NULL, err, "set", number, kind->flag, "on", NULL);
    return rc;
}

/* Looks where it really came to lie. */
static int take_made(struct arena *arena, const struct pool_def *def, unsigned number, struct volume *volume,
                     struct error *err)
{
    struct disk_map map;
    if (read_map(arena, def, &map, err) < 0 || await_node(def, volume->path, err) < 0)
        return -1;
    for (size_t i = 0; i < map.count; i++) {
        if (map.items[i].number != number)
            continue;
        take_partition(volume->path, &map.items[i], &volume->facts);
        take_space(&map, &volume->pool->space);
        volume->hidden = false;
        return 0;
    }
    return error_set(err, ERR_INTERNAL_ERROR, "parted made no partition %u", number);
}

static int create(struct creation *creation, struct volume *volume, struct error *err)
{
    const struct pool_def *def = creation->pool->object.live;
    const struct kind *kind = kind_of(creation->format);
    bool extended = strcmp(creation->format, "extended") == 0;
    scoped_arena struct arena *arena = arena_new();
    scoped_job struct job job = {0};
    struct disk_map map;
    struct place place;
    if (creation->source)
        return error_set(err, ERR_NO_SUPPORT, "volumes are not copied to partitions here; make one and upload to it");
    if (creation->capacity == 0)
        return error_set(err, ERR_INVALID_ARG, "a partition cannot have 0 bytes");
    pool_job_asked_by(&job, creation->client);
    if (job_begin(&job, &creation->pool->object, JOB_MODIFY, "add a volume to", err) < 0 ||
        read_map(arena, def, &map, err) < 0 || check_label(def, &map, err) < 0)
        return -1;
    if (extended && strcmp(map.label, "msdos") != 0)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "a partition table of type '%s' has no extended partitions",
                         map.label);
    uint64_t size = (creation->capacity + 511) / 512 * 512;
    if (find_place(&map, size, extended, &place, err) < 0)
        return -1;
    const char *node = node_of(arena, def, place.number);
    if (strcmp(node, volume->path) != 0)
        return error_set(err, ERR_INVALID_ARG, "invalid partition name '%s', expected '%s': partitions are named by "
                         "the kernel", volume->name, strrchr(node, '/') + 1);
    char number[16];
    snprintf(number, sizeof number, "%u", place.number);
    if (make_partition(def, &place, kind, err) == 0 && take_made(arena, def, place.number, volume, err) == 0)
        return 0;
    parted(def, NULL, NULL, "rm", number, NULL);
    return -1;
}

static int remove_partition(struct volume *volume, struct error *err)
{
    const struct pool_def *def = volume->pool->object.live;
    scoped_arena struct arena *arena = arena_new();
    scoped_file_work struct file_work *work = file_work_new(volume->path);
    struct disk_map map;
    size_t digits = strlen(volume->name);
    while (digits && isdigit((unsigned char)volume->name[digits - 1]))
        digits--;
    if (file_work_run(&work, step_claim, err) < 0)
        return -1;
    file_work_free(steal(work)); /* else it would be busy by us */
    if (parted(def, NULL, err, "rm", volume->name + digits, NULL) < 0)
        return -1;
    if (read_map(arena, def, &map, NULL) == 0)
        take_space(&map, &volume->pool->space);
    return 0;
}

const struct backend disk_backend = {
    .type = POOL_TYPE_DISK,
    .program = "parted",
    .package = "parted",
    .check = check,
    .same = same,
    .build = build,
    .start = start,
    .list = list,
    .create = create,
    .remove = remove_partition,
};
