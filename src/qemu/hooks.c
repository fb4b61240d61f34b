/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/hooks.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/log.h"

enum {
    TIMEOUT_S = 120,
    OUTPUT_MAX = 1 << 20, /* of a script that gives XML back */
    SCRIPTS_MAX = 100,
    FILTER_XML = DOMAIN_XML_SECURE | DOMAIN_XML_MIGRATABLE,
};

/* The second and third argument, and what libvirt says of the guest. */
static const struct {
    const char *operation, *part;
} hooks[] = {
    [HOOK_PREPARE] = {"prepare", "begin"}, [HOOK_START] = {"start", "begin"},
    [HOOK_STARTED] = {"started", "begin"}, [HOOK_STOPPED] = {"stopped", "end"},
    [HOOK_RELEASE] = {"release", "end"},   [HOOK_RECONNECT] = {"reconnect", "begin"},
    [HOOK_MIGRATE] = {"migrate", "begin"},
};

/* The extra word of release, since libvirt 10.5. */
static const char *reason_word(int reason)
{
    static const char *const words[] = {
        [DOMAIN_SHUTOFF_UNKNOWN] = "unknown",   [DOMAIN_SHUTOFF_SHUTDOWN] = "shutdown",
        [DOMAIN_SHUTOFF_DESTROYED] = "destroyed", [DOMAIN_SHUTOFF_CRASHED] = "crashed",
        [DOMAIN_SHUTOFF_MIGRATED] = "migrated", [DOMAIN_SHUTOFF_SAVED] = "saved",
        [DOMAIN_SHUTOFF_FAILED] = "failed",     [DOMAIN_SHUTOFF_FROM_SNAPSHOT] = "from snapshot",
        [DOMAIN_SHUTOFF_DAEMON] = "daemon",
    };
    return reason >= 0 && (size_t)reason < COUNT(words) ? words[reason] : words[DOMAIN_SHUTOFF_UNKNOWN];
}

/* -- the scripts --------------------------------------------------------------------------------------------------- */

struct scripts {
    struct arena *arena;
    const char *directory;
    const char *paths[SCRIPTS_MAX];
    size_t count;
};

static int add_script(void *owner, const char *name, struct error *err)
{
    struct scripts *scripts = owner;
    const char *path = arena_printf(scripts->arena, "%s/%s", scripts->directory, name);
    struct stat status;
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0 &&
        scripts->count < SCRIPTS_MAX)
        scripts->paths[scripts->count++] = path;
    return 0;
}

/* Looked for each time: a script that is put there is called from then on. */
static void find_scripts(struct scripts *scripts, const struct driver *driver, const char *kind, struct arena *arena)
{
    const char *root = driver->options.root;
    const char *top = arena_printf(arena, "%s%setc/libvirt/hooks", root, string_ends(root, "/") ? "" : "/");
    *scripts = (struct scripts){.arena = arena, .directory = top};
    add_script(scripts, kind, NULL);
    scripts->directory = arena_printf(arena, "%s/%s.d", top, kind);
    directory_list(scripts->directory, add_script, scripts, NULL);
}

/* Nothing of ours but what programs need: our own environment is nobody's business. */
static char **script_environment(struct arena *arena)
{
    static const char *const names[] = {"HOME", "USER", "LOGNAME", "TMPDIR"};
    char **environment = arena_new_array(arena, COUNT(names) + 3, char *);
    const char *path = getenv("PATH");
    size_t count = 0;
    environment[count++] = arena_printf(arena, "PATH=%s", path ?: "/usr/sbin:/usr/bin:/sbin:/bin");
    environment[count++] = arena_strdup(arena, "LC_ALL=C");
    for (size_t i = 0; i < COUNT(names); i++)
        if (getenv(names[i]))
            environment[count++] = arena_printf(arena, "%s=%s", names[i], getenv(names[i]));
    return environment;
}

/* A file in memory, so that nobody waits for a script that does not read. */
static int open_input(const char *text, struct error *err)
{
    scoped_fd int fd = memfd_create("hook", MFD_CLOEXEC);
    size_t length = strlen(text);
    if (fd < 0 || write(fd, text, length) != (ssize_t)length || lseek(fd, 0, SEEK_SET) < 0)
        return error_system(err, errno, "cannot make the input of a hook script");
    return steal_fd(&fd);
}

/* XML with a NUL would be read to there, and the rest be lost. */
static int output_check(const char *path, const char *const words[4], const struct text *output, struct error *err)
{
    size_t line = nul_line(output->data, output->length);
    if (!line)
        return 0;
    return error_set(err, ERR_HOOK_SCRIPT_FAILED, "the hook script '%s %s %s %s' printed a NUL byte in line %zu; it is "
                     "to print XML, or nothing", path, words[0], words[1], words[2], line);
}

static int run_script(const struct driver *driver, const char *path, const char *const words[4], const char *input,
                      struct text *output, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = argv_new(arena);
    uint32_t seconds = driver->options.hook_timeout_s ? driver->options.hook_timeout_s : TIMEOUT_S;
    scoped_fd int fd = input ? open_input(input, err) : -1;
    if (input && fd < 0)
        return -1;
    argv_add(argv, path);
    for (int i = 0; i < 4; i++)
        argv_add(argv, words[i]);
    struct error problem = {0};
    if (process_run_script(argv, script_environment(arena), fd, output, OUTPUT_MAX,
                           deadline_ms(UINT64_C(1000) * seconds), &problem) == 0)
        return output ? output_check(path, words, output, err) : 0;
    if (problem.code == ERR_OPERATION_TIMEOUT)
        return error_set(err, ERR_OPERATION_TIMEOUT,
                         "the hook script '%s %s %s %s' did not end within %u s, and was killed (--hook-timeout)", path,
                         words[0], words[1], words[2], seconds);
    return error_set(err, problem.code == ERR_OPERATION_ABORTED ? ERR_OPERATION_ABORTED : ERR_HOOK_SCRIPT_FAILED,
                     "the hook script for '%s %s %s' failed: %s", words[0], words[1], words[2], problem.message);
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* filtered not NULL: each gets what the one before it printed, and the last one's is left there. */
static int run_scripts(const struct driver *driver, const struct scripts *scripts, const char *const words[4],
                       const char *input, const char **filtered, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < scripts->count; i++) {
        scoped_text struct text output = {0};
        struct error problem = {0};
        if (run_script(driver, scripts->paths[i], words, input, filtered ? &output : NULL, &problem) < 0) {
            if (rc < 0 || !err)
                log_error("%s", problem.message);
            else
                *err = problem;
            rc = -1;
        } else if (filtered && !is_blank(text_string(&output))) {
            *filtered = input = arena_strdup(scripts->arena, text_string(&output));
        }
    }
    return rc;
}

void hooks_tell_daemon(const struct driver *driver, const char *operation, const char *part, const char *extra)
{
    scoped_arena struct arena *arena = arena_new();
    struct scripts scripts;
    find_scripts(&scripts, driver, "daemon", arena);
    run_scripts(driver, &scripts, (const char *const[]){"-", operation, part, extra}, NULL, NULL, NULL);
}

/* -- guests -------------------------------------------------------------------------------------------------------- */

static int call(const struct driver *driver, const struct domain_def *def, enum hook hook, const char *extra,
                unsigned format, const char **filtered, struct arena *arena, struct error *err)
{
    struct scripts scripts;
    find_scripts(&scripts, driver, "qemu", arena);
    if (!scripts.count)
        return 0;
    scoped_free char *xml = domain_format(def, format);
    return run_scripts(driver, &scripts,
                       (const char *const[]){def->name, hooks[hook].operation, hooks[hook].part, extra}, xml, filtered,
                       err);
}

int hook_call(const struct driver *driver, const struct domain_def *def, enum hook hook, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    return call(driver, def, hook, "-", 0, NULL, arena, err);
}

struct domain_def *hook_filter(struct driver *driver, struct domain_def *def, enum hook hook, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const char *xml = NULL;
    if (call(driver, def, hook, "-", FILTER_XML, &xml, arena, err) < 0)
        return NULL;
    if (!xml)
        return domain_def_ref(def);
    scoped_domain_def struct domain_def *other = driver_parse(driver, xml, DOMAIN_PARSE_INACTIVE, err);
    if (!other || domain_abi_check(def, other, err) < 0)
        return error_null(err, ERR_OPERATION_FAILED, "the XML that the hook scripts made of domain '%s' cannot be "
                          "used: %s", def->name, err->message);
    return steal(other);
}

/* -- afterwards ---------------------------------------------------------------------------------------------------- */

struct ending {
    struct list link; /* in driver->endings */
    struct driver *driver;
    struct domain_def *def; /* a reference */
    int reason;
};

static void end(void *owner)
{
    struct ending *ending = owner;
    scoped_arena struct arena *arena = arena_new();
    call(ending->driver, ending->def, HOOK_STOPPED, "-", 0, NULL, arena, NULL);
    call(ending->driver, ending->def, HOOK_RELEASE, reason_word(ending->reason), 0, NULL, arena, NULL);
    list_remove(&ending->link);
    condition_wake(&ending->driver->endings_changed);
    domain_def_free(ending->def);
    free(ending);
}

void hooks_ended(struct driver *driver, struct domain_def *def, int reason)
{
    scoped_arena struct arena *arena = arena_new();
    struct scripts scripts;
    find_scripts(&scripts, driver, "qemu", arena);
    if (!scripts.count)
        return;
    struct ending *ending = xcalloc(1, sizeof *ending);
    *ending = (struct ending){.driver = driver, .def = domain_def_ref(def), .reason = reason};
    list_append(&driver->endings, &ending->link);
    fiber_start("hooks", end, ending);
}

static bool is_ending(const struct driver *driver, const char *name)
{
    list_for_each (struct ending, ending, &driver->endings, link)
        if (string_equal(ending->def->name, name))
            return true;
    return false;
}

int hooks_settle(struct driver *driver, const char *name, struct error *err)
{
    /* each script has a limit of its own */
    while (is_ending(driver, name))
        if (condition_wait(&driver->endings_changed, DEADLINE_NONE, err) < 0)
            return error_wrap(err, "the hook scripts for the end of domain '%s' still run", name);
    return 0;
}
