/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/verify.h"

#include <string.h>

#include "base/log.h"
#include "qemu/command.h"

#define PERIPHERALS "/machine/peripheral"

enum { LOOK_MS = 20000, NAMED_MAX = 5 };

/* -- source -------------------------------------------------------------------------------------------------------- */

static struct qmp_request ask_devices(void)
{
    return (struct qmp_request){.command = "qom-list", .arguments = json_pack("{s:s}", "path", PERIPHERALS)};
}

/* "virtio-blk-pci" of "child<virtio-blk-pci>"; NULL for what is no device. */
static char *device_type(struct arena *arena, const json_t *item)
{
    const char *type = string_after(json_string_value(json_object_get(item, "type")) ?: "", "child<");
    return type && *type ? arena_strndup(arena, type, strlen(type) - 1) : NULL;
}

int verify_note(struct migration *migration, struct error *err)
{
    struct qmp_request request = ask_devices();
    int rc = qmp_batch(migration->domain->qmp, &request, 1, monitor_deadline(), err);
    size_t count = json_array_size(request.reply);
    migration->devices = arena_new_array(migration->arena, count, struct cookie_device);
    migration->device_count = 0;
    for (size_t i = 0; i < count && migration->device_count < COOKIE_DEVICES_MAX; i++) {
        const json_t *item = json_array_get(request.reply, i);
        const char *id = json_string_value(json_object_get(item, "name"));
        const char *type = device_type(migration->arena, item);
        if (id && type)
            migration->devices[migration->device_count++] =
                (struct cookie_device){arena_strdup(migration->arena, id), type};
    }
    qmp_requests_finish(&request, 1);
    return rc == 0 && migration->options.verify ? verify_choose_memory(migration, err) : rc;
}

int verify_tell(struct migration *migration, struct migrate_cookie *cookie, struct error *err)
{
    cookie->devices = migration->devices;
    cookie->device_count = migration->device_count;
    if (!migration->memory.count)
        return 0;
    if (verify_sum_memory(migration->domain, &migration->memory, err) < 0)
        return error_wrap(err, "--verify: the memory of domain '%s' on the source", domain_name(migration->domain));
    cookie->memory = migration->memory;
    return 0;
}

/* -- destination --------------------------------------------------------------------------------------------------- */

/* How a guest that was loaded and not yet let run stands: as it stood on the source, or, when it ran, "paused". */
static int check_state(const json_t *reply, struct error *err)
{
    static const char *const good[] = {"paused", "prelaunch", "suspended", "io-error", "watchdog", "guest-panicked",
                                       "debug"};
    const char *state = json_string_value(json_object_get(reply, "status")) ?: "";
    for (size_t i = 0; i < COUNT(good); i++)
        if (strcmp(state, good[i]) == 0)
            return 0;
    return error_set(err, ERR_OPERATION_FAILED, "its QEMU is in state '%s', and should be 'paused'", state);
}

static const char *find_device(const json_t *devices, const char *id)
{
    size_t i;
    json_t *item;
    json_array_foreach (devices, i, item)
        if (string_equal(json_string_value(json_object_get(item, "name")), id))
            return json_string_value(json_object_get(item, "type"));
    return NULL;
}

struct missing {
    struct text text;
    unsigned count;
};

static void add_missing(struct missing *missing, const char *id, const char *what)
{
    if (missing->count++ < NAMED_MAX)
        text_printf(&missing->text, "%s'%s' (%s)", missing->text.length ? ", " : "", id, what);
}

/* By what the source has, or, when it is a libvirtd and says nothing, by what every definition gives a name. */
static void compare_devices(struct missing *missing, const json_t *devices, const struct migrate_cookie *remote,
                            const struct domain_def *live, struct arena *arena)
{
    for (uint32_t i = 0; i < remote->device_count; i++) {
        const struct cookie_device *there = &remote->devices[i];
        const char *here = find_device(devices, there->id);
        if (!here || !string_equal(here, arena_printf(arena, "child<%s>", there->type)))
            add_missing(missing, there->id, there->type);
    }
    if (remote->device_count)
        return;
    for (uint32_t i = 0; i < live->disks.count; i++)
        if (live->disks.item[i]->info.alias && !find_device(devices, live->disks.item[i]->info.alias))
            add_missing(missing, live->disks.item[i]->info.alias, "disk");
    for (uint32_t i = 0; i < live->interfaces.count; i++)
        if (live->interfaces.item[i]->info.alias && !find_device(devices, live->interfaces.item[i]->info.alias))
            add_missing(missing, live->interfaces.item[i]->info.alias, "interface");
}

static int check_devices(const json_t *devices, const struct migrate_cookie *remote, const struct domain_def *live,
                         struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct missing missing = {0};
    compare_devices(&missing, devices, remote, live, arena);
    int rc = !missing.count ? 0
                            : error_set(err, ERR_OPERATION_FAILED,
                                        "%u of its devices are missing or of another kind in QEMU here: %s%s",
                                        missing.count, text_string(&missing.text),
                                        missing.count > NAMED_MAX ? ", ..." : "");
    text_finish(&missing.text);
    return rc;
}

static int check_memory(struct domain *domain, const struct migrate_cookie *remote, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct cookie_memory here = remote->memory;
    uint32_t differ = 0, first = 0;
    here.pieces = arena_memdup(arena, here.pieces, here.count * sizeof here.pieces[0]);
    if (verify_sum_memory(domain, &here, err) < 0)
        return error_wrap(err, "its memory");
    for (uint32_t i = here.count; i-- > 0;)
        if (here.pieces[i].sum != remote->memory.pieces[i].sum) {
            differ++;
            first = i;
        }
    if (!differ)
        return 0;
    return error_set(err, ERR_OPERATION_FAILED,
                     "its memory is not what it was on the source: %u of %u pieces of %u bytes differ, the first at "
                     "address 0x%llx",
                     differ, here.count, here.bytes, (unsigned long long)here.pieces[first].at);
}

static int check_qemu(struct domain *domain, const struct migrate_cookie *remote, struct error *err)
{
    struct qmp_request requests[] = {{.command = "query-status"}, ask_devices()};
    int rc = qmp_batch(domain->qmp, requests, COUNT(requests), deadline_ms(LOOK_MS), err);
    if (rc == 0 && domain_require_active(domain, err) < 0)
        rc = -1;
    if (rc == 0 && (check_state(requests[0].reply, err) < 0 ||
                    check_devices(requests[1].reply, remote, domain->object.live, err) < 0))
        rc = -1;
    qmp_requests_finish(requests, COUNT(requests));
    return rc;
}

int verify_arrival(struct migration *migration, const struct migrate_cookie *remote, struct error *err)
{
    struct domain *domain = migration->domain;
    if (domain->postcopy)
        return 0;
    int disks = -1;
    if (check_qemu(domain, remote, err) < 0 || (disks = verify_disks(migration, err)) < 0 ||
        (remote->memory.count && check_memory(domain, remote, err) < 0))
        return error_wrap(err, "domain '%s' has arrived, but is not let run here", domain_name(domain));
    migration->info.has_verified = true;
    migration->info.verified_devices = remote->device_count;
    migration->info.verified_disks = (uint64_t)disks;
    migration->info.verified_memory = (uint64_t)remote->memory.count * remote->memory.bytes;
    return 0;
}
