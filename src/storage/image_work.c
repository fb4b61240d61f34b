/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/image_work.h"

#include <string.h>

#include "rpc/image_verbs.h"
#include "storage/image_list.h"
#include "storage/image_operand.h"
#include "storage/qemu_img_run.h"

#define OUTPUT_MAX (3u << 20) /* what fits the protocol's longest string */
#define CHECK_ANSWERS (1 << 2 | 1 << 3) /* qemu-img check: damage, leaks */
#define COMPARE_ANSWERS (1 << 1)

enum option_kind { FLAG, TEXT };

struct option_row {
    const char *name;
    enum option_kind kind;
    const char *word;
};

#define OPTION_ROW(name, kind, word, help) {name, kind, word},
#define VERB_OPTIONS(verb, WORD, first, second, traits, help) \
    static const struct option_row WORD##_options[] = {IMAGE_##WORD##_OPTIONS(OPTION_ROW){0}};
IMAGE_VERBS(VERB_OPTIONS)

#define VERB_ROW(verb, WORD, first, second, traits, help) {verb, WORD##_options, {#first, #second}, traits},
static const struct verb {
    const char *name;
    const struct option_row *options;
    const char *operands[2];
    unsigned traits;
} verbs[] = {IMAGE_VERBS(VERB_ROW)};

struct run {
    struct image_work *work;
    struct arena *arena;
    const struct verb *verb;
    struct image_operand images[2]; /* in the order of the operands */
    struct image_operand below;     /* what a commit writes to, where that is a file */
    const char *size;
};

static void run_finish(struct run *run)
{
    image_operand_finish(&run->images[0]);
    image_operand_finish(&run->images[1]);
    image_operand_finish(&run->below);
}
#define scoped_run scope_cleanup(run_finish)

static const char *option(const struct image_work *work, const char *name)
{
    for (size_t i = 0; i < work->option_count; i++)
        if (strcmp(work->options[i].name, name) == 0)
            return work->options[i].value;
    return NULL;
}

static const struct option_row *option_row(const struct verb *verb, const char *name)
{
    for (const struct option_row *row = verb->options; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

/* What is looked at here is to be what qemu-img takes. */
static int check_once(const struct image_work *work, struct error *err)
{
    for (size_t i = 0; i < work->option_count; i++)
        if (option(work, work->options[i].name) != work->options[i].value)
            return error_set(err, ERR_INVALID_ARG, "the option '%.40s' is given twice", work->options[i].name);
    return 0;
}

/* A format stands in lists of options ("driver=qcow2,file.filename=..."), where it must not bring others along. */
static int check_formats(const struct image_work *work, struct error *err)
{
    static const char *const names[] = {"format", "second-format", "to", "backing-format"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *format = option(work, names[i]);
        if (format && (!*format || format[strspn(format, "abcdefghijklmnopqrstuvwxyz0123456789")]))
            return error_set(err, ERR_INVALID_ARG, "'%.40s' is no format of an image", format);
    }
    return 0;
}

static const struct verb *find_verb(const struct image_work *work, struct error *err)
{
    const struct verb *verb = verbs;
    while (verb < verbs + COUNT(verbs) && strcmp(verb->name, work->verb) != 0)
        verb++;
    if (verb == verbs + COUNT(verbs))
        return error_null(err, ERR_INVALID_ARG, "nothing called '%.40s' can be done with images", work->verb);
    size_t needed = strcmp(verb->operands[1], "none") == 0 ? 1 : 2;
    bool optional = strcmp(verb->name, "create") == 0 && option(work, "backing"); /* its size is the backing's */
    if (work->operand_count != needed && !(optional && work->operand_count == 1))
        return error_null(err, ERR_INVALID_ARG, "image %s takes %zu operands, not %zu", verb->name, needed,
                          work->operand_count);
    for (size_t i = 0; i < work->option_count; i++)
        if (!option_row(verb, work->options[i].name))
            return error_null(err, ERR_INVALID_ARG, "image %s has no option '%.40s'", verb->name,
                              work->options[i].name);
    return check_once(work, err) < 0 || check_formats(work, err) < 0 ? NULL : verb;
}

/* -- what it does -------------------------------------------------------------------------------------------------- */

static const char *plan_snapshot(struct run *run)
{
    const char *name = option(run->work, "create"), *image = run->images[0].path;
    if (name)
        return arena_printf(run->arena, "makes the snapshot '%s' inside of '%s'", name, image);
    if ((name = option(run->work, "apply")))
        return arena_printf(run->arena, "puts '%s' back to its snapshot '%s'; what was written since is lost", image,
                            name);
    name = option(run->work, "delete");
    return name ? arena_printf(run->arena, "removes the snapshot '%s' from '%s'", name, image) : NULL;
}

/* A sentence about what changes; NULL for a verb that only looks. */
static const char *plan(struct run *run)
{
    const struct image_work *work = run->work;
    const char *verb = run->verb->name, *image = run->images[0].path, *backing = option(work, "backing");
    if (strcmp(verb, "check") == 0)
        return option(work, "repair") ? arena_printf(run->arena, "mends '%s' in place (%s)", image,
                                                     option(work, "repair")) : NULL;
    if (strcmp(verb, "commit") == 0)
        return arena_printf(run->arena, "writes what '%s' holds into '%s'%s", image,
                            run->below.path ?: "the image below it",
                            option(work, "keep") || option(work, "base") ? "" : " and empties it");
    if (strcmp(verb, "convert") == 0)
        return arena_printf(run->arena, "copies '%s' (%s) to the new '%s' (%s%s)", image, run->images[0].format,
                            run->images[1].path, option(work, "to") ?: "raw",
                            run->images[0].luks.encryption ? ", not encrypted" : "");
    if (strcmp(verb, "create") == 0)
        return arena_printf(run->arena, "makes '%s' (%s)", image, option(work, "to") ?: "raw");
    if (strcmp(verb, "rebase") == 0)
        return arena_printf(run->arena, "puts %s below '%s'%s", backing && *backing ? backing : "nothing", image,
                            option(work, "unsafe") ? ", unseen: it must hold what the present one does" : "");
    if (strcmp(verb, "resize") == 0)
        return arena_printf(run->arena, "makes the disk of '%s' %s%s", image,
                            strchr("+-", *run->size) ? "other by " : "as large as ", run->size);
    return strcmp(verb, "snapshot") == 0 ? plan_snapshot(run) : NULL;
}

static bool changes_in_place(const struct run *run)
{
    const struct image_work *work = run->work;
    const char *verb = run->verb->name;
    if (strcmp(verb, "check") == 0)
        return option(work, "repair");
    if (strcmp(verb, "snapshot") == 0)
        return option(work, "create") || option(work, "apply") || option(work, "delete");
    return strcmp(verb, "commit") == 0 || strcmp(verb, "rebase") == 0 || strcmp(verb, "resize") == 0;
}

/* -- operands ------------------------------------------------------------------------------------------------------ */

/* "10G", and to change it "+512M", "-1048576": as qemu-img reads it. */
static int check_size(const struct run *run, struct error *err)
{
    const char *size = run->size, *digits = size + (changes_in_place(run) && *size && strchr("+-", *size));
    size_t length = strspn(digits, "0123456789");
    if (length && (!digits[length] || (strchr("bkKMGTPE", digits[length]) && !digits[length + 1])))
        return 0;
    return error_set(err, ERR_INVALID_ARG, "'%.40s' is no size: say bytes, or a number with K, M, G or T", size);
}

static int check_unused(struct run *run, const char *path, struct error *err)
{
    scoped_free char *what = xprintf("%s '%s'", run->verb->name, path);
    return run->verb->traits & IMAGE_SHARED ? 0 : storage_check_unused(run->work->storage, path, what, err);
}

/* Whether qemu-img opens what lies below the images, too. */
static bool opens_chain(const struct run *run)
{
    const char *verb = run->verb->name;
    return strcmp(verb, "info") != 0 && strcmp(verb, "check") != 0 && !option(run->work, "unsafe");
}

static int open_image(struct run *run, size_t number, struct error *err)
{
    struct image_work *work = run->work;
    struct image_operand *image = &run->images[number];
    const char *format = option(work, number ? "second-format" : "format");
    unsigned how = (work->changes ? IMAGE_CHANGE : 0) | (!strcmp(run->verb->name, "info") ? IMAGE_LOCKED : 0) |
                   (run->verb->traits & IMAGE_LOOKS ? IMAGE_TRUST : 0);
    if (image_operand_open(image, run->arena, work->storage, work->operands[number], format, how, run->verb->name,
                           err) < 0 ||
        check_unused(run, image->path, err) < 0)
        return -1;
    return image->backed && opens_chain(run) && strcmp(image->format, "raw") != 0 ? image_check_chain(image->path, err)
                                                                                  : 0;
}

/* What the image is told to have beside it: qemu-img empties whatever it finds there. */
static int make_data(struct run *run, struct image_operand *image, struct error *err)
{
    const char *path;
    if (image_list_find(run->arena, option(run->work, "options"), "data_file", &path, err) < 0)
        return -1;
    if (!path)
        return 0;
    if (*path != '/')
        return error_set(err, ERR_INVALID_ARG, "data_file takes the absolute path of a new file, not '%.200s'", path);
    return image_operand_make_data(image, path, err);
}

static int open_below(struct run *run, struct error *err)
{
    const char *below = option(run->work, "base") ?: run->images[0].backing;
    if (strcmp(run->verb->name, "commit") != 0 || !below)
        return 0;
    if (image_operand_find(&run->below, run->arena, run->work->storage, below, IMAGE_CHANGE, "commit to", err) < 0)
        return -1;
    return check_unused(run, run->below.path, err);
}

/* vmdk alone splits a disk: into files that are called after the temporary one, and would go with it. */
static int check_subformat(struct run *run, struct error *err)
{
    const char *word;
    if (image_list_find(run->arena, option(run->work, "options"), "subformat", &word, err) < 0)
        return -1;
    if (!word || !string_equal(option(run->work, "to"), "vmdk") || string_equal(word, "monolithicSparse") ||
        string_equal(word, "streamOptimized"))
        return 0;
    return error_set(err, ERR_NO_SUPPORT, "subformat '%.40s' is not made here, since its disk is in several files; "
                     "monolithicSparse and streamOptimized are", word);
}

/* Then qemu-img lists the format's options and makes nothing. */
static bool asks_for_help(struct run *run)
{
    const char *options = option(run->work, "options"), *help, *mark;
    return image_list_find(run->arena, options, "help", &help, NULL) < 0 || help ||
           image_list_find(run->arena, options, "?", &mark, NULL) < 0 || mark;
}

static int open_operands(struct run *run, bool make, struct error *err)
{
    struct image_work *work = run->work;
    for (size_t i = 0; i < work->operand_count; i++) {
        const char *kind = run->verb->operands[i];
        if (strcmp(kind, "size") == 0) {
            run->size = work->operands[i];
            if (check_size(run, err) < 0)
                return -1;
        } else if (strcmp(kind, "image") == 0) {
            if (open_image(run, i, err) < 0)
                return -1;
        } else if (make) {
            if (image_operand_make(&run->images[i], run->arena, work->storage, work->operands[i], err) < 0 ||
                make_data(run, &run->images[i], err) < 0)
                return -1;
        } else {
            run->images[i].path = work->operands[i];
        }
    }
    return open_below(run, err);
}

/* -- the command --------------------------------------------------------------------------------------------------- */

/* What is to lie below an image. */
static int check_backing(struct run *run, struct error *err)
{
    const char *options = option(run->work, "options"), *given = option(run->work, "backing"), *path, *format;
    if (image_list_find(run->arena, options, "backing_file", &path, err) < 0 ||
        image_list_find(run->arena, options, "backing_fmt", &format, err) < 0)
        return -1;
    if (given && *given && !(path = image_operand_path(run->arena, run->work->storage, given, err)))
        return -1;
    if (!path || !*path)
        return 0;
    if (!format && !option(run->work, "backing-format"))
        return error_set(err, ERR_INVALID_ARG, "which format has '%s' below it? --backing-format says it", path);
    return opens_chain(run) ? image_check_chain(path, err) : 0;
}

static int add_options(struct run *run, struct argv *argv, struct error *err)
{
    static const char *const paths[] = {"backing", "base"}, *const ours[] = {"format", "second-format"};
    for (size_t i = 0; i < run->work->option_count; i++) {
        const struct image_option *given = &run->work->options[i];
        const struct option_row *row = option_row(run->verb, given->name);
        const char *value = given->value;
        if (string_equal(row->name, ours[0]) || string_equal(row->name, ours[1]))
            continue; /* stands beside its image */
        if ((string_equal(row->name, paths[0]) || string_equal(row->name, paths[1])) && *value &&
            !(value = image_operand_path(run->arena, run->work->storage, value, err)))
            return -1;
        argv_add(argv, row->word);
        if (row->kind == TEXT)
            argv_add(argv, value);
    }
    return 0;
}

/* qemu-img snapshot has no option for a format, and would guess. */
static void add_exact(struct argv *argv, const struct image_operand *image)
{
    scoped_text struct text name = {0};
    text_printf(&name, "driver=%s,file.filename=", image->format);
    for (const char *c = image->path; *c; c++)
        text_append(&name, *c == ',' ? ",," : (char[]){*c, '\0'});
    argv_add(argv, "--image-opts");
    argv_add(argv, text_string(&name));
}

static void add_images(struct run *run, struct argv *argv)
{
    const struct image_operand *first = &run->images[0], *second = &run->images[1];
    bool compare = strcmp(run->verb->name, "compare") == 0;
    if (strcmp(run->verb->name, "snapshot") == 0 && !first->luks.encryption) {
        add_exact(argv, first);
    } else if (first->file) {
        argv_add(argv, first->file->temporary);
    } else {
        if (compare && !second->luks.encryption) {
            argv_add(argv, "-F");
            argv_add(argv, second->format);
        }
        luks_add_image(argv, &first->luks, first->format, first->path);
    }
    if (second->file)
        argv_add(argv, second->file->temporary);
    else if (compare && second->luks.encryption)
        luks_add_image(argv, &second->luks, second->format, second->path);
    else if (compare)
        argv_add(argv, second->path);
    if (run->size)
        argv_add(argv, run->size);
}

static struct argv *command(struct run *run, struct error *err)
{
    struct argv *argv = argv_new(run->arena);
    bool json = run->work->flags & IMAGE_RUN_JSON, list = !strcmp(run->verb->name, "snapshot") && !run->work->changes;
    argv_add(argv, "qemu-img");
    argv_add(argv, list && json ? "info" : run->verb->name);
    if (run->verb->traits & IMAGE_PROGRESS)
        argv_add(argv, "-p");
    if (strcmp(run->verb->name, "create") == 0)
        argv_add(argv, "-q"); /* it would tell the temporary name */
    if (json && (run->verb->traits & IMAGE_JSON || list))
        argv_add(argv, "--output=json");
    if (list && !json)
        argv_add(argv, "-l");
    if (run->verb->traits & IMAGE_SHARED || list)
        argv_add(argv, "-U");
    luks_add_object(argv, &run->images[0].luks);
    luks_add_object(argv, &run->images[1].luks);
    if (check_backing(run, err) < 0 || add_options(run, argv, err) < 0)
        return NULL;
    add_images(run, argv);
    return argv;
}

static void take_progress(void *owner, double percent)
{
    struct image_work *work = owner;
    work->percent = percent;
}

static int execute(struct run *run, const struct argv *argv, struct error *err)
{
    struct image_work *work = run->work;
    scoped_text struct text output = {0};
    int keys[2];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(run->images); i++)
        if (run->images[i].luks.fd >= 0)
            keys[count++] = run->images[i].luks.fd;
    struct image_run image_run = {
        .argv = argv,
        .pass_fds = keys,
        .pass_fd_count = count,
        .quick = strcmp(run->verb->name, "info") == 0 && !count,
        .output = &output,
        .output_max = OUTPUT_MAX,
        .keep_output = !(work->flags & IMAGE_RUN_JSON),
        .progress = run->verb->traits & IMAGE_PROGRESS ? take_progress : NULL,
        .owner = work,
        .accepted = strcmp(run->verb->name, "check") == 0     ? CHECK_ANSWERS
                    : strcmp(run->verb->name, "compare") == 0 ? COMPARE_ANSWERS
                                                              : 0,
    };
    int rc = qemu_img_run(&image_run, err);
    work->status = image_run.status;
    work->output = arena_strdup(run->arena, text_string(&output));
    return rc;
}

/* Into qemu-img's words, the name that the user knows. */
static void show_names(const struct run *run, struct error *err)
{
    for (size_t i = 0; i < COUNT(run->images); i++) {
        const struct image_operand *image = &run->images[i];
        const char *temporary = image->file ? image->file->temporary : NULL;
        char *at = temporary && err ? strstr(err->message, temporary) : NULL;
        if (!at)
            continue;
        const char *shown = arena_printf(run->arena, "%.*s%s%s", (int)(at - err->message), err->message, image->path,
                                         at + strlen(temporary));
        error_set(err, err->code, "%s", shown);
    }
}

int image_work_run(struct image_work *work, struct arena *arena, struct error *err)
{
    scoped_run struct run run = {.work = work, .arena = arena, .images = {IMAGE_OPERAND, IMAGE_OPERAND},
                                .below = IMAGE_OPERAND};
    bool only_plan = work->flags & IMAGE_RUN_PLAN;
    work->output = "";
    run.verb = find_verb(work, err);
    if (!run.verb)
        return -1;
    work->changes = changes_in_place(&run);
    if (check_subformat(&run, err) < 0 || open_operands(&run, !only_plan, err) < 0)
        return error_wrap(err, "cannot %s image '%s'", work->verb, work->operands[0]);
    work->plan = plan(&run);
    if (only_plan)
        return 0;
    struct argv *argv = command(&run, err);
    int rc = argv ? execute(&run, argv, err) : -1;
    if (rc < 0)
        show_names(&run, err);
    for (size_t i = 0; rc == 0 && !asks_for_help(&run) && i < COUNT(run.images); i++)
        if (run.images[i].file)
            rc = image_operand_publish(&run.images[i], work->client, err);
    if (work->changes && run.images[0].use.volume)
        volume_reread(run.images[0].use.volume);
    if (run.below.use.volume)
        volume_reread(run.below.use.volume);
    return rc < 0 ? error_wrap(err, "cannot %s image '%s'", work->verb, work->operands[0]) : 0;
}
