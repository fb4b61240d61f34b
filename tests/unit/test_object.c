/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/loop.h"
#include "object/job.h"
#include "object/object.h"

/* A kind whose definition is "NAME UUID" and nothing else. */
struct toy_def {
    unsigned references;
    char *text;
};

static int events[16], event_count;

static void *toy_parse(void *context, const char *xml, struct error *err)
{
    if (strstr(xml, "broken"))
        return error_null(err, ERR_XML_ERROR, "broken");
    struct toy_def *def = xcalloc(1, sizeof *def);
    *def = (struct toy_def){1, xstrdup(xml)};
    return def;
}
static char *toy_format(const void *def)
{
    return xstrdup(((const struct toy_def *)def)->text);
}
static void *toy_ref(void *def)
{
    ((struct toy_def *)def)->references++;
    return def;
}
static void toy_unref(void *owner)
{
    struct toy_def *def = owner;
    if (--def->references)
        return;
    free(def->text);
    free(def);
}
static int toy_peek(const char *xml, size_t length, char **name, unsigned char uuid[UUID_SIZE])
{
    const char *space = strchr(xml, ' ');
    if (!space || uuid_parse(space + 1, uuid) < 0)
        return -1;
    *name = strndup(xml, (size_t)(space - xml));
    return 0;
}
static void *toy_renamed(const void *def, const char *name, struct error *err)
{
    scoped_free char *text = xprintf("%s%s", name, strchr(((const struct toy_def *)def)->text, ' '));
    return toy_parse(NULL, text, err);
}
static void toy_event(struct object *object, enum object_event event)
{
    events[event_count++] = event;
}
static const struct object_kind toy = {
    .noun = "toy", .title = "Toy", .error_missing = ERR_NO_DOMAIN, .size = sizeof(struct object),
    .def_parse = toy_parse, .def_format = toy_format, .def_ref = toy_ref, .def_unref = toy_unref,
    .def_peek = toy_peek, .def_renamed = toy_renamed, .event = toy_event,
};

#define ONE "11111111-1111-4111-8111-111111111111"
#define TWO "22222222-2222-4222-8222-222222222222"

static char directory[] = "/tmp/godwit-object-XXXXXX";

static struct object *define(struct registry *registry, const char *name, const char *id, struct error *err)
{
    unsigned char uuid[UUID_SIZE];
    uuid_parse(id, uuid);
    struct object *object = object_claim(registry, name, uuid, err);
    if (!object)
        return NULL;
    scoped_free char *text = xprintf("%s %s", name, id);
    assert_int_equal(object_store_def(object, toy_parse(NULL, text, err), err), 0);
    return object;
}

static void life_story(void *unused)
{
    struct error err = {0};
    struct registry registry;
    event_count = 0;
    registry_init(&registry, &toy, NULL, directory);
    scoped_object struct object *one = define(&registry, "one", ONE, &err);
    assert_null(define(&registry, "one", TWO, &err)); /* the name is taken */
    assert_int_equal(err.code, ERR_OPERATION_FAILED);
    assert_null(define(&registry, "other", ONE, &err)); /* the UUID is taken */
    scoped_object struct object *two = define(&registry, "two", TWO, &err);
    assert_int_equal(object_set_autostart(two, true, &err), 0);
    assert_int_equal(object_rename(two, "one", &err), -1);
    assert_int_equal(object_rename(two, "deux", &err), 0);
    assert_ptr_equal(registry_find_name(&registry, "deux", &err), two);
    assert_null(registry_find_name(&registry, "two", &err));
    assert_string_equal(err.message, "Toy not found: no toy with matching name 'two'");
    object_activate(one, toy_ref(object_config(one, &err)), -1);
    assert_int_equal(one->id, 1);
    assert_int_equal(object_rename(one, "eins", &err), -1);
    assert_int_equal(object_undefine(one, &err), 0); /* transient now */
    assert_ptr_equal(registry_find_id(&registry, 1, &err), one);
    assert_int_equal(object_undefine(one, &err), -1);
    object_deactivate(one);
    object_forget_if_unused(one);
    assert_null(registry_find_name(&registry, "one", &err));
    const int expected[] = {OBJECT_ADDED, OBJECT_ADDED, OBJECT_RENAMING, OBJECT_RENAMED, OBJECT_REMOVED};
    assert_int_equal(event_count, COUNT(expected));
    assert_memory_equal(events, expected, sizeof expected);
    registry_finish(&registry);

    /* what was acknowledged is there again; what is broken is left out, and left alone */
    scoped_free char *broken = xprintf("%s/%s.xml", directory, ONE);
    assert_int_equal(file_write(broken, "no uuid here", 12, 0600, &err), 0);
    registry_init(&registry, &toy, NULL, directory);
    assert_int_equal(registry_load(&registry, &err), 0);
    struct object *found = registry_find_name(&registry, "deux", &err);
    assert_non_null(found);
    assert_true(found->autostart);
    assert_null(registry_next(found));
    assert_int_equal(access(broken, F_OK), 0);
    registry_finish(&registry);
    loop_stop();
}

static void second_job(void *owner)
{
    struct object *object = owner;
    struct error err = {0};
    scoped_job struct job inner = {0};
    assert_int_equal(job_begin(&inner, object, JOB_SUSPEND, "suspend", &err), 0); /* a migration admits it */
    assert_true(inner.inner);
    struct job refused = {0}, blocked = {0};
    assert_int_equal(job_begin(&refused, object, JOB_MODIFY, "change", &err), -1); /* at once */
    assert_int_equal(err.code, ERR_OPERATION_INVALID);
    fiber_cancel(fiber_self());
    fiber_shield(false);
    assert_int_equal(job_begin(&blocked, object, JOB_ASK, "ask", &err), -1);
    assert_int_equal(err.code, ERR_OPERATION_ABORTED);
}

static void job_story(void *unused)
{
    struct error err = {0};
    struct registry registry;
    registry_init(&registry, &toy, NULL, directory);
    scoped_object struct object *object = define(&registry, "busy", ONE, &err);
    {
        scoped_job struct job outer = {.client = "pid 7 (test)"};
        assert_int_equal(job_begin(&outer, object, JOB_MIGRATE_OUT, "migrate", &err), 0);
        fiber_start("second", second_job, object);
        await_sleep(deadline_ms(20), &err);
        assert_null(object->inner_job);
        assert_ptr_equal(object->job, &outer);
    }
    assert_null(object->job);
    scoped_job struct job next = {0};
    assert_int_equal(job_begin(&next, object, JOB_START, "start", &err), 0);
    job_end(&next);
    registry_finish(&registry);
    loop_stop();
}

static void store(void *owner)
{
    struct object *object = owner;
    struct error err = {0};
    assert_int_equal(object_store_def(object, toy_parse(NULL, "one " ONE, &err), &err), 0);
    object_unref(object);
    loop_stop();
}

static struct object *transient(struct registry *registry, const char *name, const char *id, struct error *err)
{
    unsigned char uuid[UUID_SIZE];
    uuid_parse(id, uuid);
    struct object *object = object_claim(registry, name, uuid, err);
    object_activate(object, toy_parse(NULL, "live", err), -1);
    return object;
}

/* A guest may end at any time, also while its definition is on the way to the disk. */
static void an_end_meanwhile_loses_no_definition(void **state)
{
    struct error err = {0};
    struct registry registry;
    registry_init(&registry, &toy, NULL, directory);
    scoped_object struct object *one = transient(&registry, "one", ONE, &err);
    assert_non_null(fiber_start("store", store, object_ref(one)));
    object_deactivate(one);
    object_forget_if_unused(one);
    loop_run();
    assert_ptr_equal(registry_find_name(&registry, "one", &err), one);
    registry_finish(&registry);
}

static void claim_again(void *owner)
{
    struct registry *registry = owner;
    struct error err = {0};
    unsigned char uuid[UUID_SIZE];
    uuid_parse(ONE, uuid);
    scoped_job struct job job = {0};
    scoped_object struct object *anew = job_claim(&job, registry, "one", uuid, JOB_START, "create", &err);
    assert_non_null(anew);
    assert_int_equal(err.code, 0);
    assert_true(anew->hidden);
    object_forget_if_unused(anew);
    loop_stop();
}

static void claim_renamed(void *owner)
{
    struct registry *registry = owner;
    struct error err = {0};
    unsigned char uuid[UUID_SIZE];
    uuid_parse(TWO, uuid);
    scoped_job struct job job = {0};
    assert_null(job_claim(&job, registry, "two", uuid, JOB_START, "create", &err));
    assert_string_equal(err.message, "toy 'deux' is already defined with uuid " TWO);
    assert_null(job.object);
    loop_stop();
}

static void end_story(void *owner)
{
    struct registry *registry = owner;
    struct error err = {0};
    scoped_object struct object *one = transient(registry, "one", ONE, &err);
    scoped_job struct job ending = {0};
    assert_int_equal(job_begin(&ending, one, JOB_DESTROY, "destroy", &err), 0);
    fiber_start("claim", claim_again, registry);
    object_deactivate(one);
    object_forget_if_unused(one);
}

static void rename_story(void *owner)
{
    struct registry *registry = owner;
    struct error err = {0};
    scoped_object struct object *two = define(registry, "two", TWO, &err);
    scoped_job struct job renaming = {0};
    assert_int_equal(job_begin(&renaming, two, JOB_DEFINE, "rename", &err), 0);
    fiber_start("claim", claim_renamed, registry);
    assert_int_equal(object_rename(two, "deux", &err), 0);
}

/* Who waits for the job of what it claimed may find another thing than it claimed. */
static void claims_hold_when_their_job_begins(void **state)
{
    struct registry registry;
    registry_init(&registry, &toy, NULL, directory);
    fiber_start("end", end_story, &registry);
    loop_run();
    fiber_start("rename", rename_story, &registry);
    loop_run();
    registry_finish(&registry);
}

static void in_fiber(void (*story)(void *))
{
    if (fiber_start("story", story, NULL))
        loop_run();
}

static void objects_live_and_are_found_again(void **state)
{
    in_fiber(life_story);
}

static void jobs_exclude_each_other(void **state)
{
    in_fiber(job_story);
}

static int make_directory(void **state)
{
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    scoped_free char *command = xprintf("rm -r %s", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_live_and_are_found_again),
        cmocka_unit_test(jobs_exclude_each_other),
        cmocka_unit_test(an_end_meanwhile_loses_no_definition),
        cmocka_unit_test(claims_hold_when_their_job_begins),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
