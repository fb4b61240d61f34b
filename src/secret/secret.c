/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "secret/secret.h"

#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "secret/seal.h"
#include "secret/value.h"

/* Secrets as objects. */

static void *parse_stored(void *context, const char *xml, struct error *err)
{
    return secret_parse(xml, 0, err);
}

static char *format_stored(const void *def)
{
    return secret_format(def);
}

static void *ref_def(void *def)
{
    return secret_def_ref(def);
}

static void unref_def(void *def)
{
    secret_def_free(def);
}

static int peek_stored(const char *xml, size_t length, char **name, unsigned char uuid[UUID_SIZE])
{
    scoped_secret_def struct secret_def *def = secret_parse(xml, 0, NULL);
    if (!def)
        return -1;
    *name = xcalloc(1, UUID_STRING_SIZE);
    uuid_format(def->uuid, *name);
    memcpy(uuid, def->uuid, UUID_SIZE);
    return 0;
}

static void forget_value(struct secret *secret)
{
    bytes_free(secret->value, secret->value_length);
    secret->value = NULL;
    secret->value_length = 0;
}

static void finish(struct object *object)
{
    forget_value(secret_of(object));
}

static const struct object_kind secret_kind = {
    .noun = "secret",
    .title = "Secret",
    .error_missing = ERR_NO_SECRET,
    .size = sizeof(struct secret),
    .def_parse = parse_stored,
    .def_format = format_stored,
    .def_ref = ref_def,
    .def_unref = unref_def,
    .def_peek = peek_stored,
    .finish = finish,
};

struct secrets *secrets_new(const char *root, struct error *err)
{
    struct secrets *secrets = xcalloc(1, sizeof *secrets);
    const char *slash = string_ends(root, "/") ? "" : "/";
    condition_init(&secrets->key_made);
    secrets->definitions_dir = xprintf("%s%setc/godwit/secrets", root, slash);
    secrets->key_path = xprintf("%s%svar/lib/godwit/secrets.key", root, slash);
    if (directory_make(secrets->definitions_dir, 0700, err) < 0) {
        secrets_free(secrets);
        return NULL;
    }
    registry_init(&secrets->registry, &secret_kind, secrets, secrets->definitions_dir);
    if (registry_load(&secrets->registry, err) < 0) {
        secrets_free(secrets);
        return NULL;
    }
    return secrets;
}

void secrets_free(struct secrets *secrets)
{
    if (!secrets)
        return;
    if (secrets->registry.kind)
        registry_finish(&secrets->registry);
    free(secrets->definitions_dir);
    free(secrets->key_path);
    free(secrets);
}

static struct secrets *keeper(struct secret *secret)
{
    return secret->object.registry->context;
}

static void notify(struct secret *secret, int event_id, int event)
{
    struct secrets *secrets = keeper(secret);
    if (secrets->notify)
        secrets->notify(secrets->owner, secret, event_id, event);
}

/* -- finding ------------------------------------------------------------------------------------------------------- */

const struct secret_def *secret_def(struct secret *secret, struct error *err)
{
    return object_def(&secret->object, err);
}

struct secret *secret_find_uuid(struct secrets *secrets, const unsigned char uuid[UUID_SIZE], struct error *err)
{
    return secret_of(registry_find_uuid(&secrets->registry, uuid, err));
}

/* Hidden ones, too: two that are defined at once must not get the same usage. */
static struct secret *used_by(struct secrets *secrets, int usage, const char *id, bool hidden)
{
    for (struct object *object = registry_first_of_all(&secrets->registry); object;
         object = registry_next_of_all(object)) {
        struct secret *secret = secret_of(object);
        const struct secret_def *def = object->hidden ? secret->coming : object_def(object, NULL);
        if (def && (hidden || !object->hidden) && secret_usage_type(def) == usage &&
            strcmp(secret_usage_id(def), id) == 0)
            return secret;
    }
    return NULL;
}

struct secret *secret_find_usage(struct secrets *secrets, int usage, const char *id, struct error *err)
{
    struct secret *secret = used_by(secrets, usage, id, false);
    return secret ?: error_null(err, ERR_NO_SECRET, "Secret not found: no secret with matching usage '%s'", id);
}

struct secret *secret_find(struct secrets *secrets, const char *uuid, int usage, const char *id, struct error *err)
{
    unsigned char bytes[UUID_SIZE];
    if (!uuid && !id)
        return error_null(err, ERR_XML_ERROR, "<secret> names none: it needs a uuid or a usage");
    if (!uuid)
        return secret_find_usage(secrets, usage, id, err);
    if (uuid_parse(uuid, bytes) < 0)
        return error_null(err, ERR_XML_ERROR, "'%.40s' is no UUID of a secret", uuid);
    return secret_find_uuid(secrets, bytes, err);
}

/* -- values -------------------------------------------------------------------------------------------------------- */

int secret_value(struct secret *secret, struct secret_value *value, struct error *err)
{
    int rc = 1;
    if (secret->value) {
        *value = (struct secret_value){xcalloc(1, secret->value_length + 1), secret->value_length};
        memcpy(value->data, secret->value, value->length);
        return 0;
    }
    if (secret->object.persistent)
        rc = value_load(keeper(secret), secret->object.uuid, value, err);
    if (rc > 0)
        return error_set(err, ERR_NO_SECRET, "Secret not found: secret '%s' does not have a value; set one "
                         "(secret-set-value)", secret->object.name);
    return rc;
}

int secret_value_for_client(struct secret *secret, struct secret_value *value, struct error *err)
{
    const struct secret_def *def = secret_def(secret, err);
    if (!def)
        return -1;
    if (def->private == YESNO_YES)
        return error_set(err, ERR_INVALID_SECRET, "Invalid secret: secret '%s' is private: its value is told to nobody",
                         secret->object.name);
    return secret_value(secret, value, err);
}

static int store_value(struct secret *secret, bool ephemeral, const uint8_t *value, size_t length, struct error *err)
{
    if (!ephemeral)
        return value_store(keeper(secret), secret->object.uuid, value, length, err);
    uint8_t *copy = xcalloc(1, length + 1);
    memcpy(copy, value, length);
    forget_value(secret);
    secret->value = copy;
    secret->value_length = length;
    return 0;
}

static int begin(struct job *job, struct secret *secret, const char *operation, const char *client, struct error *err)
{
    snprintf(job->client, sizeof job->client, "%s", client ?: "");
    return job_begin(job, &secret->object, JOB_DEFINE, operation, err);
}

int secret_set_value(struct secret *secret, const uint8_t *value, size_t length, const char *client,
                     struct error *err)
{
    scoped_job struct job job = {0};
    if (!length)
        return error_set(err, ERR_INVALID_ARG, "the new value of secret '%s' is empty; its old one is kept",
                         secret->object.name);
    if (begin(&job, secret, "set the value of", client, err) < 0)
        return -1;
    if (store_value(secret, object_active(&secret->object), value, length, err) < 0)
        return error_wrap(err, "cannot set the value of secret '%s'", secret->object.name);
    notify(secret, SECRET_EVENT_ID_VALUE_CHANGED, 0);
    return 0;
}

/* -- definitions --------------------------------------------------------------------------------------------------- */

static int check_usage(struct secrets *secrets, const struct secret_def *def, struct error *err)
{
    struct secret *other = def->usage ? used_by(secrets, secret_usage_type(def), secret_usage_id(def), true) : NULL;
    if (!other || memcmp(other->object.uuid, def->uuid, UUID_SIZE) == 0)
        return 0;
    return error_set(err, ERR_OPERATION_FAILED, "a secret with UUID %s already defined for use with %s",
                     other->object.name, secret_usage_id(def));
}

/* What a change may not change. */
static int check_change(struct secret *secret, const struct secret_def *def, struct error *err)
{
    if (!object_active(&secret->object) && !secret->object.persistent)
        return 0;
    const struct secret_def *before = secret_def(secret, err);
    if (!before)
        return -1;
    if (before->usage != def->usage || strcmp(secret_usage_id(before), secret_usage_id(def)) != 0)
        return error_set(err, ERR_OPERATION_FAILED, "a secret with UUID %s is already defined for use with %s",
                         secret->object.name, before->usage ? secret_usage_id(before) : "nothing");
    if (before->private == YESNO_YES && def->private != YESNO_YES)
        return error_set(err, ERR_OPERATION_DENIED, "cannot change private flag on existing secret '%s': its value "
                         "would be told after all", secret->object.name);
    return 0;
}

/* From memory to the disk or back; the value goes with it. */
static int put_ephemeral(struct secret *secret, struct secret_def *def, struct error *err)
{
    if (secret->object.persistent) {
        scoped_secret_value struct secret_value value = {0};
        int rc = value_load(keeper(secret), secret->object.uuid, &value, err);
        if (rc < 0 || value_remove(keeper(secret), secret->object.uuid, err) < 0)
            return -1;
        if (rc == 0)
            store_value(secret, true, value.data, value.length, NULL);
    }
    if (object_active(&secret->object))
        object_set_live(&secret->object, secret_def_ref(def));
    else
        object_activate(&secret->object, secret_def_ref(def), -1);
    return secret->object.persistent ? object_undefine(&secret->object, err) : 0;
}

static int put_stored(struct secret *secret, struct secret_def *def, struct error *err)
{
    bool was_ephemeral = object_active(&secret->object);
    if (secret->value && value_store(keeper(secret), secret->object.uuid, secret->value, secret->value_length, err) < 0)
        return -1;
    if (object_store_def(&secret->object, secret_def_ref(def), err) < 0)
        return -1;
    if (was_ephemeral)
        object_deactivate(&secret->object);
    forget_value(secret);
    return 0;
}

static void warn_of_unknown(const struct secret_def *def, const char *uuid)
{
    scoped_text struct text paths = {0};
    secret_unknown(def, &paths);
    if (paths.length)
        log_warning("secret '%s': kept, but without effect: %s", uuid, text_string(&paths));
}

struct secret *secret_define(struct secrets *secrets, const char *xml, unsigned flags, const char *client,
                             struct error *err)
{
    char uuid[UUID_STRING_SIZE];
    scoped_secret_def struct secret_def *def =
        secret_parse(xml, flags & SECRET_DEFINE_VALIDATE ? SECRET_PARSE_VALIDATE : 0, err);
    if (!def || check_usage(secrets, def, err) < 0)
        return NULL;
    uuid_format(def->uuid, uuid);
    warn_of_unknown(def, uuid);
    scoped_job struct job job = {0};
    snprintf(job.client, sizeof job.client, "%s", client ?: "");
    struct object *object = job_claim(&job, &secrets->registry, uuid, def->uuid, JOB_DEFINE, "define", err);
    if (!object)
        return NULL;
    scoped_secret struct secret *secret = secret_of(object);
    if (check_usage(secrets, def, err) < 0 || check_change(secret, def, err) < 0) {
        object_forget_if_unused(object);
        return NULL;
    }
    secret->coming = def;
    int rc = def->ephemeral == YESNO_YES ? put_ephemeral(secret, def, err) : put_stored(secret, def, err);
    secret->coming = NULL;
    if (rc < 0) {
        object_forget_if_unused(object);
        return NULL;
    }
    notify(secret, SECRET_EVENT_ID_LIFECYCLE, SECRET_EVENT_DEFINED);
    return steal(secret);
}

int secret_undefine(struct secret *secret, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    if (begin(&job, secret, "undefine", client, err) < 0)
        return -1;
    /* the value first: one without a definition would lie there for good */
    if (secret->object.persistent && (value_remove(keeper(secret), secret->object.uuid, err) < 0 ||
                                      object_undefine(&secret->object, err) < 0))
        return -1;
    object_deactivate(&secret->object);
    notify(secret, SECRET_EVENT_ID_LIFECYCLE, SECRET_EVENT_UNDEFINED);
    object_forget_if_unused(&secret->object);
    return 0;
}
