/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fiber.h"
#include "base/text.h"
#include "object/store.h"

/* The life of a named object: one code for domains and, later, networks, pools, ... An object has a name, a UUID, at
 * most two definitions, and while it is active an id. Definitions are immutable: a change makes a new one and swaps it
 * in. A definition that is on disk is parsed when somebody first needs it, so that a daemon with 1,000 objects starts
 * at once. */
struct object;
struct registry;
struct job;

/* OBJECT_RENAMING is told while the object still has its old name, OBJECT_RENAMED when it has the new one. */
enum object_event { OBJECT_ADDED, OBJECT_UPDATED, OBJECT_REMOVED, OBJECT_RENAMING, OBJECT_RENAMED };

/* What differs between kinds. */
struct object_kind {
    const char *noun;  /* "domain" */
    const char *title; /* "Domain": begins the message when there is none of that name */
    int error_missing; /* ERR_NO_DOMAIN */
    size_t size;       /* of the struct that begins with a struct object */
    /* Parses a stored definition. Must not wait. */
    void *(*def_parse)(void *context, const char *xml, struct error *err);
    /* The XML that goes to disk, for free(). */
    char *(*def_format)(const void *def);
    void *(*def_ref)(void *def);
    void (*def_unref)(void *def);
    /* Reads name and UUID of a stored definition without parsing all of it. *name is for free(). */
    int (*def_peek)(const char *xml, size_t length, char **name, unsigned char uuid[UUID_SIZE]);
    /* A new definition like the old one but for the name. */
    void *(*def_renamed)(const void *def, const char *name, struct error *err);
    void (*init)(struct object *object);   /* after the common part is there */
    void (*finish)(struct object *object); /* before it goes */
    void (*event)(struct object *object, enum object_event event);
};

struct object {
    const struct object_kind *kind;
    struct registry *registry;
    unsigned references;
    char *name;
    unsigned char uuid[UUID_SIZE];
    int id;          /* -1 while inactive */
    bool persistent; /* has a definition on disk */
    bool autostart;
    bool hidden;  /* its first definition is not on disk yet: nobody may see it */
    bool storing; /* its definition is on the way to the disk: not to be forgotten */
    bool removed; /* no longer in the registry */
    void *live;   /* definition in use; NULL while inactive */
    void *config; /* definition on disk; NULL while transient, or not parsed yet */
    struct job *job, *inner_job;
    struct condition job_changed;
    UT_hash_handle by_name, by_uuid, by_id;
};

struct registry {
    const struct object_kind *kind;
    void *context; /* for def_parse and the kind's own use */
    struct store store;
    struct object *by_name, *by_uuid, *by_id;
    int last_id;
};

/* directory: where the definitions lie; must exist. The registry does not own kind or context. */
void registry_init(struct registry *registry, const struct object_kind *kind, void *context, const char *directory);
void registry_finish(struct registry *registry);
/* Reads name and UUID of every stored definition. A file that cannot be used is logged and left alone. */
int registry_load(struct registry *registry, struct error *err);

/* Lookups of visible objects; the caller takes a reference before it waits. NULL with error_missing if there is none.
 * The messages of failed lookups begin as users' scripts expect ("Domain not found: ..."). */
struct object *registry_find_name(struct registry *registry, const char *name, struct error *err);
struct object *registry_find_uuid(struct registry *registry, const unsigned char uuid[UUID_SIZE], struct error *err);
struct object *registry_find_id(struct registry *registry, int id, struct error *err);
/* for (object = registry_first(r); object; object = registry_next(object)): skips what is hidden. */
struct object *registry_first(const struct registry *registry);
struct object *registry_next(const struct object *object);
/* The same, hidden ones too. */
struct object *registry_first_of_all(const struct registry *registry);
struct object *registry_next_of_all(const struct object *object);

struct object *object_ref(struct object *object);
void object_unref(struct object *object);
DEFINE_SCOPED(object_scope, struct object *, object_unref)
#define scoped_object scope_cleanup(object_scope)

/* Starts what is marked autostart and not active, a few at a time, once per boot of the host: the file `mark` says
 * which boot it was. What fails is logged. Waits. */
void registry_autostart(struct registry *registry, const char *mark,
                        int (*start)(struct object *object, struct error *err));

/* The definition in use: live while active, else the stored one. Not a reference: take one before waiting. Does not
 * wait. Fails when the stored file does not parse. */
void *object_def(struct object *object, struct error *err);
/* The stored definition; ERR_OPERATION_INVALID when transient. */
void *object_config(struct object *object, struct error *err);
static inline bool object_active(const struct object *object)
{
    return object->id >= 0;
}

/* Finds the object that a definition of this name and UUID belongs to, or makes a hidden one. Refuses a name with
 * another UUID and a UUID with another name (ERR_OPERATION_FAILED). Returns a reference. The caller then begins a job
 * on it (job_claim() does both), and ends with object_store_def() or object_activate(), or object_forget_if_unused()
 * when nothing came of it. */
struct object *object_claim(struct registry *registry, const char *name, const unsigned char uuid[UUID_SIZE],
                            struct error *err);
void object_forget_if_unused(struct object *object);

/* Makes def the stored definition; it is on disk on return, and takes effect at once or, while active, at the next
 * start. Takes the caller's reference of def, also on failure; then an object that is neither persistent nor active is
 * gone. Waits; hold a job. */
int object_store_def(struct object *object, void *def, struct error *err);
/* Removes the stored definition: an inactive object is gone, an active one becomes transient. Waits; hold a job. */
int object_undefine(struct object *object, struct error *err);
/* The flag is on disk on return. ERR_OPERATION_INVALID when transient. Waits; hold a job. */
int object_set_autostart(struct object *object, bool autostart, struct error *err);
/* Inactive and persistent only. Waits; hold a job. */
int object_rename(struct object *object, const char *name, struct error *err);

/* Makes it active with a definition in use (takes the reference) and an id: the next one, or the given one (>= 0). */
void object_activate(struct object *object, void *live, int id);
/* Makes it inactive; a transient one is gone with the last reference. */
void object_deactivate(struct object *object);
/* Swaps the definition in use (takes the reference). */
void object_set_live(struct object *object, void *live);
