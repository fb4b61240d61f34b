/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "object/object.h"

#include <string.h>

#include "base/arena.h"

struct object *object_ref(struct object *object)
{
    object->references++;
    return object;
}

static void def_unref(struct object *object, void **def)
{
    if (*def)
        object->kind->def_unref(*def);
    *def = NULL;
}

void object_unref(struct object *object)
{
    if (--object->references)
        return;
    if (object->kind->finish)
        object->kind->finish(object);
    def_unref(object, &object->live);
    def_unref(object, &object->config);
    free(object->name);
    free(object);
}

static struct object *object_new(struct registry *registry, const char *name, const unsigned char uuid[UUID_SIZE])
{
    struct object *object = xcalloc(1, registry->kind->size);
    object->kind = registry->kind;
    object->registry = registry;
    object->references = 1;
    object->name = xstrdup(name);
    memcpy(object->uuid, uuid, UUID_SIZE);
    object->id = -1;
    condition_init(&object->job_changed);
    HASH_ADD_KEYPTR(by_name, registry->by_name, object->name, strlen(object->name), object);
    HASH_ADD(by_uuid, registry->by_uuid, uuid, UUID_SIZE, object);
    if (object->kind->init)
        object->kind->init(object);
    return object;
}

static void object_remove(struct object *object)
{
    if (object->removed)
        return;
    object->removed = true;
    HASH_DELETE(by_name, object->registry->by_name, object);
    HASH_DELETE(by_uuid, object->registry->by_uuid, object);
    object_unref(object);
}

void registry_init(struct registry *registry, const struct object_kind *kind, void *context, const char *directory)
{
    *registry = (struct registry){.kind = kind, .context = context};
    store_init(&registry->store, directory);
}

void registry_finish(struct registry *registry)
{
    while (registry->by_id) {
        struct object *object = registry->by_id;
        HASH_DELETE(by_id, registry->by_id, object);
    }
    while (registry->by_name)
        object_remove(registry->by_name);
    store_finish(&registry->store);
}

static int load_definition(void *owner, const char *xml, size_t length, const unsigned char uuid[UUID_SIZE],
                           bool autostart, struct error *err)
{
    struct registry *registry = owner;
    scoped_free char *name = NULL;
    unsigned char inside[UUID_SIZE];
    if (registry->kind->def_peek(xml, length, &name, inside) < 0)
        return error_set(err, ERR_XML_ERROR, "it does not begin as a stored %s definition does", registry->kind->noun);
    if (memcmp(inside, uuid, UUID_SIZE) != 0)
        return error_set(err, ERR_XML_ERROR, "it holds another UUID than its file name");
    struct object *other;
    HASH_FIND(by_name, registry->by_name, name, strlen(name), other);
    if (other)
        return error_set(err, ERR_XML_ERROR, "there is another %s of the name '%s'", registry->kind->noun, name);
    struct object *object = object_new(registry, name, uuid);
    object->persistent = true;
    object->autostart = autostart;
    return 0;
}

int registry_load(struct registry *registry, struct error *err)
{
    return store_load(&registry->store, load_definition, registry, err);
}

struct object *registry_find_name(struct registry *registry, const char *name, struct error *err)
{
    struct object *object;
    HASH_FIND(by_name, registry->by_name, name, strlen(name), object);
    if (object && !object->hidden)
        return object;
    return error_null(err, registry->kind->error_missing, "%s not found: no %s with matching name '%s'",
                      registry->kind->title, registry->kind->noun, name);
}

struct object *registry_find_uuid(struct registry *registry, const unsigned char uuid[UUID_SIZE], struct error *err)
{
    struct object *object;
    HASH_FIND(by_uuid, registry->by_uuid, uuid, UUID_SIZE, object);
    if (object && !object->hidden)
        return object;
    char string[UUID_STRING_SIZE];
    uuid_format(uuid, string);
    return error_null(err, registry->kind->error_missing, "%s not found: no %s with matching uuid '%s'",
                      registry->kind->title, registry->kind->noun, string);
}

struct object *registry_find_id(struct registry *registry, int id, struct error *err)
{
    struct object *object;
    HASH_FIND(by_id, registry->by_id, &id, sizeof id, object);
    if (object)
        return object;
    return error_null(err, registry->kind->error_missing, "%s not found: no %s with matching id %d",
                      registry->kind->title, registry->kind->noun, id);
}

static struct object *visible(struct object *object)
{
    while (object && object->hidden)
        object = object->by_name.next;
    return object;
}

struct object *registry_first(const struct registry *registry)
{
    return visible(registry->by_name);
}

struct object *registry_next(const struct object *object)
{
    return visible(object->by_name.next);
}

struct object *registry_first_of_all(const struct registry *registry)
{
    return registry->by_name;
}

struct object *registry_next_of_all(const struct object *object)
{
    return object->by_name.next;
}

void *object_config(struct object *object, struct error *err)
{
    if (object->config)
        return object->config;
    if (!object->persistent)
        return error_null(err, ERR_OPERATION_INVALID, "%s '%s' is transient: it has no stored definition",
                          object->kind->noun, object->name);
    scoped_arena struct arena *arena = arena_new();
    char *xml = store_read(&object->registry->store, arena, object->uuid, err);
    object->config = xml ? object->kind->def_parse(object->registry->context, xml, err) : NULL;
    if (!object->config)
        error_wrap(err, "the stored definition of %s '%s' cannot be used", object->kind->noun, object->name);
    return object->config;
}

void *object_def(struct object *object, struct error *err)
{
    return object->live ? object->live : object_config(object, err);
}

struct object *object_claim(struct registry *registry, const char *name, const unsigned char uuid[UUID_SIZE],
                            struct error *err)
{
    const char *noun = registry->kind->noun;
    char string[UUID_STRING_SIZE];
    struct object *named, *same;
    HASH_FIND(by_name, registry->by_name, name, strlen(name), named);
    HASH_FIND(by_uuid, registry->by_uuid, uuid, UUID_SIZE, same);
    if (named && named != same) {
        uuid_format(named->uuid, string);
        return error_null(err, ERR_OPERATION_FAILED, "%s '%s' already exists with uuid %s", noun, name, string);
    }
    if (same && same != named) {
        uuid_format(uuid, string);
        return error_null(err, ERR_OPERATION_FAILED, "%s '%s' is already defined with uuid %s", noun, same->name,
                          string);
    }
    if (same)
        return object_ref(same);
    struct object *object = object_new(registry, name, uuid);
    object->hidden = true;
    return object_ref(object);
}

void object_forget_if_unused(struct object *object)
{
    if (!object->persistent && !object_active(object) && !object->storing)
        object_remove(object);
}

static void notify(struct object *object, enum object_event event)
{
    if (object->kind->event)
        object->kind->event(object, event);
}

/* What is acknowledged must be found again by the next daemon, under the same name and whole. */
static int check_readable(const struct object *object, const char *xml, const char *name, struct error *err)
{
    scoped_free char *found = NULL;
    unsigned char uuid[UUID_SIZE];
    void *def = NULL;
    if (object->kind->def_peek(xml, strlen(xml), &found, uuid) < 0 || !string_equal(found, name) ||
        memcmp(uuid, object->uuid, UUID_SIZE) != 0)
        error_set(err, ERR_XML_ERROR, "it does not say that name and UUID");
    else
        def = object->kind->def_parse(object->registry->context, xml, err);
    if (!def)
        return error_wrap(err, "the definition of %s '%s' could not be read back", object->kind->noun, name);
    object->kind->def_unref(def);
    return 0;
}

int object_store_def(struct object *object, void *def, struct error *err)
{
    scoped_free char *xml = object->kind->def_format(def);
    object->storing = true;
    int rc = check_readable(object, xml, object->name, err);
    if (rc == 0)
        rc = store_write(&object->registry->store, object->uuid, xml, err);
    object->storing = false;
    if (rc < 0) {
        object->kind->def_unref(def);
        object_forget_if_unused(object); /* it may have ended meanwhile */
        return error_wrap(err, "cannot store %s '%s'", object->kind->noun, object->name);
    }
    def_unref(object, &object->config);
    object->config = def;
    bool added = !object->persistent;
    object->persistent = true;
    object->hidden = false;
    notify(object, added ? OBJECT_ADDED : OBJECT_UPDATED);
    return 0;
}

int object_undefine(struct object *object, struct error *err)
{
    if (!object->persistent)
        return error_set(err, ERR_OPERATION_INVALID, "cannot undefine transient %s '%s': it has no stored definition",
                         object->kind->noun, object->name);
    if (store_remove(&object->registry->store, object->uuid, err) < 0)
        return error_wrap(err, "cannot undefine %s '%s'", object->kind->noun, object->name);
    object->persistent = object->autostart = false;
    def_unref(object, &object->config);
    notify(object, OBJECT_REMOVED);
    object_forget_if_unused(object);
    return 0;
}

int object_set_autostart(struct object *object, bool autostart, struct error *err)
{
    if (!object->persistent)
        return error_set(err, ERR_OPERATION_INVALID,
                         "cannot set autostart for transient %s '%s': define it first, so that it outlives its run",
                         object->kind->noun, object->name);
    if (store_set_autostart(&object->registry->store, object->uuid, autostart, err) < 0)
        return error_wrap(err, "cannot change autostart of %s '%s'", object->kind->noun, object->name);
    object->autostart = autostart;
    return 0;
}

static void rename_in_memory(struct object *object, const char *name)
{
    struct registry *registry = object->registry;
    HASH_DELETE(by_name, registry->by_name, object);
    free(object->name);
    object->name = xstrdup(name);
    HASH_ADD_KEYPTR(by_name, registry->by_name, object->name, strlen(object->name), object);
}

int object_rename(struct object *object, const char *name, struct error *err)
{
    const char *noun = object->kind->noun;
    if (object_active(object) || !object->persistent)
        return error_set(err, ERR_OPERATION_INVALID, "cannot rename %s '%s': only an inactive persistent one can be",
                         noun, object->name);
    struct object *other;
    HASH_FIND(by_name, object->registry->by_name, name, strlen(name), other);
    if (other)
        return error_set(err, ERR_OPERATION_INVALID, "cannot rename %s '%s': '%s' already exists", noun, object->name,
                         name);
    void *config = object_config(object, err);
    void *renamed = config ? object->kind->def_renamed(config, name, err) : NULL;
    if (!renamed)
        return -1;
    /* a hidden object of no UUID that matters holds the new name while we wait for the disk */
    unsigned char nobody[UUID_SIZE];
    uuid_random(nobody);
    struct object *place = object_new(object->registry, name, nobody);
    place->hidden = true;
    scoped_free char *xml = object->kind->def_format(renamed);
    int rc = check_readable(object, xml, name, err);
    if (rc == 0)
        rc = store_write(&object->registry->store, object->uuid, xml, err);
    object_remove(place);
    if (rc < 0) {
        object->kind->def_unref(renamed);
        return error_wrap(err, "cannot rename %s '%s'", noun, object->name);
    }
    notify(object, OBJECT_RENAMING);
    rename_in_memory(object, name);
    def_unref(object, &object->config);
    object->config = renamed;
    notify(object, OBJECT_RENAMED);
    return 0;
}

void object_activate(struct object *object, void *live, int id)
{
    struct registry *registry = object->registry;
    object->hidden = false;
    object->id = id >= 0 ? id : registry->last_id + 1;
    if (object->id > registry->last_id)
        registry->last_id = object->id;
    HASH_ADD(by_id, registry->by_id, id, sizeof object->id, object);
    object_set_live(object, live);
}

void object_deactivate(struct object *object)
{
    if (!object_active(object))
        return;
    HASH_DELETE(by_id, object->registry->by_id, object);
    object->id = -1;
    def_unref(object, &object->live);
}

void object_set_live(struct object *object, void *live)
{
    def_unref(object, &object->live);
    object->live = live;
}
