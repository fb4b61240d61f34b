/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "migrate/check.h"
#include "migrate/internal.h"
#include "migrate/link.h"
#include "migrate/preflight.h"
#include "migrate/probe.h"
#include "qemu/block.h"
#include "qemu/cpu_compare.h"
#include "rpc/transport.h"
#include "secret/secret.h"

/* The destination's end of the conversation: what it found of each thing that the source asked for. */

enum { CAPS_MS = 30000, FILES_MS = 5000, NAME_MS = 1500, SERVER_MS = 1000 };

/* -- the guest's place --------------------------------------------------------------------------------------------- */

static json_t *answer_guest(struct driver *driver, const json_t *question)
{
    const char *name = fact_text(question, "guest.name_there"), *uuid = fact_text(question, "guest.uuid");
    unsigned char bytes[UUID_SIZE];
    json_t *facts = json_object();
    struct object *same = uuid && uuid_parse(uuid, bytes) == 0 ? registry_find_uuid(&driver->domains, bytes, NULL) :
        NULL;
    struct object *holder = name ? registry_find_name(&driver->domains, name, NULL) : NULL;
    if (same && !string_equal(same->name, name))
        facts_put(facts, "other_name", same->name);
    if (same)
        facts_put(facts, "state", object_active(same) ? domain_of(same)->incoming ? "arriving" : "running" : "shut "
            "off");
    if (holder && holder != same) {
        char text[UUID_STRING_SIZE];
        uuid_format(holder->uuid, text);
        facts_put(facts, "name_holder", text);
    }
    return facts;
}

/* -- QEMU and the processor ---------------------------------------------------------------------------------------- */

static json_t *answer_qemu(const struct qemu_caps *caps, const json_t *question)
{
    const char *wanted = fact_text(question, "guest.machine");
    const struct qemu_machine *machine = wanted ? qemu_caps_machine(caps, wanted) : NULL;
    json_t *facts = json_pack("{s:i, s:s, s:b, s:b}", "version", (int)caps->version, "emulator", caps->binary, "kvm",
                              caps->accel[QEMU_KVM].usable, "machine_known", machine != NULL);
    json_t *models = json_array();
    for (size_t i = 0; i < caps->tpm_models.count; i++)
        json_array_append_new(models, json_string(caps->tpm_models.item[i]));
    json_object_set_new(facts, "tpm_models", models);
    json_t *capabilities = json_array();
    for (size_t i = 0; i < caps->migration_capabilities.count; i++)
        json_array_append_new(capabilities, json_string(caps->migration_capabilities.item[i]));
    json_object_set_new(facts, "migration_capabilities", capabilities);
    if (machine) {
        facts_put(facts, "machine", machine->name);
        facts_put_number(facts, "max_vcpus", machine->max_cpus);
    }
    return facts;
}

/* Says what surrounds a processor, not what it can; QEMU makes it up. */
static bool is_circumstance(const char *feature)
{
    static const char *const names[] = {"hypervisor", "ht", "osxsave", "ospke"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(names[i], feature) == 0)
            return true;
    return false;
}

static void put_fitting(json_t *facts, const struct cpu_models *models, const char *xml)
{
    scoped_text struct text fits = {0}, flat = {0};
    if (!xml || cpu_baseline(&fits, models, &models->best.features, &xml, 1, 0, NULL) < 0)
        return;
    for (const char *at = text_string(&fits); *at; at++)
        if (*at != '\n' && !(*at == ' ' && (at == fits.data || at[-1] == '\n' || at[-1] == ' ')))
            text_append_char(&flat, *at);
    facts_put(facts, "fits", text_string(&flat));
}

static json_t *answer_cpu(struct driver *driver, const struct qemu_caps *caps, const json_t *question)
{
    const json_t *features = fact(question, "guest.cpu.features");
    json_t *facts = json_object();
    if (!features)
        return facts;
    struct error err;
    enum qemu_accel accel = accel_of(fact_text(question, "guest.type"));
    const struct cpu_models *models = cpu_models_get(driver->cpu_models, caps, accel, deadline_ms(CAPS_MS), &err);
    if (!models) {
        facts_put(facts, "error", err.message);
        return facts;
    }
    json_t *lacks = json_array();
    for (size_t i = 0; i < json_array_size(features); i++) {
        int feature = cpu_feature_find(fact_item(features, i));
        if (is_circumstance(fact_item(features, i)))
            continue;
        if (feature < 0 || !cpu_features_has(&models->best.features, (unsigned)feature))
            json_array_append_new(lacks, json_string(fact_item(features, i)));
    }
    if (json_array_size(lacks))
        put_fitting(facts, models, fact_text(question, "guest.cpu.xml"));
    json_object_set_new(facts, "lacks", lacks);
    return facts;
}

static void answer_emulator(json_t *answer, struct driver *driver, const json_t *question)
{
    scoped_arena struct arena *arena = arena_new();
    const char *emulator = fact_text(question, "guest.emulator");
    struct error err = {0};
    if (!emulator)
        emulator = qemu_default_emulator(arena, fact_text(question, "guest.arch") ?: "x86_64");
    const struct qemu_caps *caps = emulator ? qemu_caps_get(driver->caps, emulator, deadline_ms(CAPS_MS), &err) : NULL;
    enum qemu_accel accel = accel_of(fact_text(question, "guest.type"));
    json_object_set_new(answer, "host", facts_of_host(driver, caps, accel));
    if (!caps) {
        json_object_set_new(answer, "qemu", json_pack("{s:s}", "error", emulator ? err.message : "no QEMU is "
            "installed"));
        return;
    }
    json_object_set_new(answer, "qemu", answer_qemu(caps, question));
    json_object_set_new(answer, "cpu", answer_cpu(driver, caps, question));
}

/* -- files --------------------------------------------------------------------------------------------------------- */

/* Whether the image that was found is the source's: by the mark beside it, or by a name that devices have
    everywhere. */
static void put_sameness(json_t *facts, const json_t *disk, const struct probe_file *file)
{
    const char *id = fact_text(disk, "file.id"), *name = fact_text(disk, "file.name"), *why;
    int64_t inode;
    bool known_inode = fact_number(disk, "file.inode", &inode);
    if (fact_flag(disk, "file.marked") == 1) {
        bool one_file = string_equal(name, file->name) || (known_inode && (uint64_t)inode == file->inode);
        json_object_set_new(facts, "same", json_boolean(file->marked && one_file));
        facts_put(facts, "how", !file->marked ? "another file: the source's mark is not beside it"
                                : one_file    ? "the source's mark was read beside it"
                                              : "another file of the same directory");
    } else if (id && *file->id) {
        bool equal = strcmp(id, file->id) == 0;
        json_object_set_new(facts, "same", json_boolean(equal));
        facts_put(facts, "how", equal ? "a device of the same name" : "another device");
    } else if ((why = fact_text(disk, "file.mark_error"))) {
        json_object_set_new(facts, "how", json_sprintf("not proven: the source cannot write beside it: %s", why));
    }
}

static json_t *file_facts(const struct probe_file *file)
{
    json_t *facts = json_pack("{s:s}", "path", file->path);
    if (file->errnum)
        facts_put(facts, "error", file->errnum == ENOENT ? "no such file" : strerror(file->errnum));
    else
        json_object_set_new(facts, "writable", json_boolean(file->writable));
    return facts;
}

static json_t *disk_found(const json_t *disk, const struct probe_file *file, const struct probe_file *layers)
{
    const json_t *chain = fact(disk, "chain");
    json_t *facts = file_facts(file), *below = json_array();
    facts_put(facts, "target", fact_text(disk, "target"));
    if (!file->errnum) {
        json_object_set_new(facts, "qcow2", json_boolean(file->qcow2));
        facts_put_number(facts, "allocated", file->allocated);
        put_sameness(facts, disk, file);
    }
    if (file->directory_errnum && file->look_at_directory)
        json_object_set_new(facts, "directory_error",
                            json_sprintf("its directory: %s", strerror(file->directory_errnum)));
    else if (file->look_at_directory)
        json_object_set_new(facts, "available", json_integer((json_int_t)file->available));
    for (size_t i = 0; i < json_array_size(chain); i++)
        json_array_append_new(below, file_facts(&layers[i]));
    json_object_set_new(facts, "chain", below);
    return facts;
}

/* Where a volume lies here, or, of a disk that is copied, will lie; NULL with err. May wait. */
static const char *volume_path(struct driver *driver, const json_t *disk, struct arena *arena, struct error *err)
{
    struct disk volume = {.source = {.type = SOURCE_TYPE_VOLUME, .pool = fact_text(disk, "pool"),
                                     .volume = fact_text(disk, "volume")},
                          .target = fact_text(disk, "target") ?: ""};
    struct disk *item = &volume;
    struct domain_def def = {.arena = arena, .disks = {.item = &item, .count = 1}};
    if (!driver->find_volumes)
        return error_null(err, ERR_NO_SUPPORT, "there are no storage pools");
    int rc = fact_flag(disk, "copied") == 1 ? driver->place_volume(driver->notify_owner, &volume, arena, err)
                                            : driver->find_volumes(driver->notify_owner, &def, err);
    return rc < 0 ? NULL : disk_source_path(&volume.source);
}

/* The path of each disk here, "" for those that lie in no file; what cannot be found goes into `found`. */
static const char **disk_paths(struct driver *driver, const json_t *disks, struct arena *arena, json_t *found)
{
    const char **paths = arena_new_array(arena, json_array_size(disks) + 1, const char *);
    for (size_t i = 0; i < json_array_size(disks); i++) {
        const json_t *disk = json_array_get(disks, i);
        const char *path = fact_text(disk, "there");
        struct error err;
        if (!path && fact_text(disk, "volume") && !(path = volume_path(driver, disk, arena, &err))) {
            json_t *fault = json_object();
            facts_put(fault, "target", fact_text(disk, "target"));
            facts_put(fault, "error", err.message);
            json_array_append_new(found, fault);
        }
        paths[i] = path && *path == '/' ? path : "";
    }
    return paths;
}

/* NULL when one of the servers can be connected to. Waits. */
static json_t *server_fault(const json_t *servers)
{
    struct error err = {0};
    for (size_t i = 0; i < json_array_size(servers); i++) {
        const char *host = fact_text(json_array_get(servers, i), "host");
        const char *port = fact_text(json_array_get(servers, i), "port");
        uint32_t number;
        if (!host || !port || parse_u32(port, 10, &number) < 0 || number > 65535)
            continue;
        scoped_fd int fd = transport_tcp(host, (uint16_t)number, deadline_ms(SERVER_MS), &err);
        if (fd >= 0)
            return NULL;
    }
    return err.code ? json_string(err.message) : NULL;
}

static void answer_servers(json_t *answer, const json_t *question)
{
    const json_t *disks = fact(question, "guest.disks");
    for (size_t i = 0; i < json_array_size(disks); i++) {
        const json_t *servers = fact(json_array_get(disks, i), "servers");
        if (!json_array_size(servers))
            continue;
        json_t *facts = json_object(), *fault = server_fault(servers);
        facts_put(facts, "target", fact_text(json_array_get(disks, i), "target"));
        if (fault)
            json_object_set_new(facts, "unreachable", fault);
        json_array_append_new(json_object_get(answer, "disks"), facts);
    }
}

/* Disks with the layers of each behind it, then the other files. */
static void answer_files(json_t *answer, struct driver *driver, const json_t *question)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_json json_t *found = json_array(), *others = json_array();
    const json_t *disks = fact(question, "guest.disks"), *files = fact(question, "guest.files");
    scoped_probe struct probe *probe = probe_new(fact_text(question, "mark.name"), fact_text(question, "mark.text"));
    if (probe->mark_name && strchr(probe->mark_name, '/'))
        return;
    const char **paths = disk_paths(driver, disks, arena, found);
    for (size_t i = 0; i < json_array_size(disks); i++) {
        const json_t *disk = json_array_get(disks, i), *chain = fact(disk, "chain");
        struct probe_file *file = probe_add(probe, paths[i]);
        file->find_mark = fact_flag(disk, "file.marked") == 1;
        file->look_at_directory = fact_flag(disk, "copied") == 1;
        for (size_t j = 0; j < json_array_size(chain); j++)
            probe_add(probe, fact_text(json_array_get(chain, j), "path") ?: "");
    }
    for (size_t i = 0; i < json_array_size(files); i++)
        probe_add(probe, fact_text(json_array_get(files, i), "path") ?: "");
    if (probe_run(&probe, FILES_MS, NULL) < 0)
        return; /* a server that hangs: nothing is known */
    const struct probe_file *file = probe->files;
    for (size_t i = 0; i < json_array_size(disks); i++) {
        const json_t *disk = json_array_get(disks, i);
        if (*paths[i])
            json_array_append_new(found, disk_found(disk, file, file + 1));
        file += 1 + json_array_size(fact(disk, "chain"));
    }
    for (size_t i = 0; i < json_array_size(files); i++)
        json_array_append_new(others, file_facts(file++));
    json_object_set(answer, "disks", found);
    json_object_set(answer, "files", others);
}

/* -- network ------------------------------------------------------------------------------------------------------- */

static json_t *answer_interfaces(const json_t *question)
{
    const json_t *list = fact(question, "guest.interfaces");
    json_t *found = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *interface = json_array_get(list, i);
        const char *bridge = fact_text(interface, "bridge"), *device = bridge ? bridge : fact_text(interface, "dev");
        json_t *facts = json_object();
        facts_put(facts, "mac", fact_text(interface, "mac"));
        /* there are no virtual networks: one that runs elsewhere names its bridge */
        facts_put(facts, "state", device ? bridge_state(device) : "not there");
        if (bridge)
            json_object_set_new(facts, "addresses", facts_of_addresses(bridge));
        json_array_append_new(found, facts);
    }
    return found;
}

/* Whether a display could listen there now. */
static json_t *listen_fault(const char *address, int64_t port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST |
        AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%u", (unsigned)(port & 0xffff));
    if (getaddrinfo(address, service, &hints, &found) != 0)
        return NULL; /* a name: QEMU will ask for it */
    scoped_fd int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    int errnum = fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 1) < 0 ? errno : 0;
    freeaddrinfo(found);
    return errnum == EADDRINUSE      ? json_string("the port is taken")
           : errnum == EADDRNOTAVAIL ? json_string("no address of this host")
           : errnum                  ? json_string(strerror(errnum))
                                     : NULL;
}

static json_t *answer_graphics(const json_t *question)
{
    const json_t *list = fact(question, "guest.graphics");
    json_t *found = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *graphics = json_array_get(list, i);
        const char *listen = fact_text(graphics, "listen");
        int64_t port;
        fact_number(graphics, "port", &port);
        json_t *facts = json_object(), *fault = listen ? listen_fault(listen, port) : NULL;
        if (fault)
            json_object_set_new(facts, "error", fault);
        json_array_append_new(found, facts);
    }
    return found;
}

static json_t *answer_listener(struct driver *driver, const json_t *question)
{
    const struct migrate_options options = {.uri = fact_text(question, "options.uri"),
                                            .listen_address = fact_text(question, "options.listen")};
    return link_listen(driver, &options);
}

/* By what a disk may name them. */
static json_t *answer_secrets(const struct driver *driver)
{
    json_t *names = json_array();
    for (struct object *object = driver->secrets ? registry_first(&driver->secrets->registry) : NULL; object;
         object = registry_next(object)) {
        const struct secret_def *def = secret_def(secret_of(object), NULL);
        json_array_append_new(names, json_string(object->name));
        if (def && def->usage)
            json_array_append_new(names, json_string(secret_usage_id(def)));
    }
    return names;
}

/* -- all of it ----------------------------------------------------------------------------------------------------- */

json_t *preflight_answer(struct driver *driver, const json_t *question, unsigned flags)
{
    const char *name = fact_text(question, "host.hostname");
    json_t *answer = json_pack("{s:s, s:I}", "kind", "godwit", "received_ms", (json_int_t)clock_ms());
    answer_emulator(answer, driver, question);
    json_object_set_new(answer, "guest", answer_guest(driver, question));
    json_object_set_new(answer, "memory", facts_of_memory(question));
    json_object_set_new(answer, "interfaces", answer_interfaces(question));
    json_object_set_new(answer, "graphics", answer_graphics(question));
    json_object_set_new(answer, "secrets", answer_secrets(driver));
    answer_files(answer, driver, question);
    answer_servers(answer, question);
    if (name && !(flags & PREFLIGHT_QUICK))
        json_object_set_new(answer, "back", link_resolve(name, NAME_MS));
    if (fact_flag(question, "options.offline") != 1 && fact_flag(question, "options.tunnelled") != 1)
        json_object_set_new(answer, "listener", answer_listener(driver, question));
    json_object_set_new(answer, "answered_ms", json_integer((json_int_t)clock_ms()));
    return answer;
}

/* Names and ports are found out by those who take them next. */
int preflight_gate_destination(struct driver *driver, const struct domain_def *def,
                               const struct migrate_options *options, struct error *err)
{
    scoped_json json_t *question =
        json_pack("{s:o, s:o}", "options", facts_of_options(options), "guest", facts_of_guest(def, def, options));
    scoped_json json_t *answer = json_object();
    answer_emulator(answer, driver, question);
    json_object_set_new(answer, "memory", facts_of_memory(question));
    json_object_set_new(answer, "interfaces", answer_interfaces(question));
    answer_files(answer, driver, question);
    scoped_json json_t *findings = check_run(question, answer);
    return check_refuse(findings, options->flags & MIGRATE_UNSAFE, def->name, err);
}
