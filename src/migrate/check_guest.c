/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/check.h"

#include <string.h>

/* Rules about the guest, QEMU, the processor and memory. */

#define QEMU_VERSION(major, minor) ((major) * 1000000 + (minor) * 1000)

static const char *version_text(struct arena *arena, int64_t version)
{
    return arena_printf(arena, "QEMU %lld.%lld.%lld", (long long)version / 1000000, (long long)version / 1000 % 1000,
                        (long long)version % 1000);
}

static const char *mib_text(struct arena *arena, int64_t kib)
{
    return arena_printf(arena, "%lld MiB", (long long)kib / 1024);
}

static const char *list_text(struct arena *arena, const json_t *list)
{
    scoped_text struct text words = {0};
    for (size_t i = 0; i < json_array_size(list); i++)
        text_printf(&words, "%s%s", i ? ", " : "", fact_item(list, i));
    return arena_strdup(arena, text_string(&words));
}

/* -- the guest ----------------------------------------------------------------------------------------------------- */

void check_state(struct check *check)
{
    const char *state = fact_text(check->question, "guest.state");
    if (!state)
        return;
    bool runs = !strcmp(state, "running") || !strcmp(state, "paused") || !strcmp(state, "pmsuspended");
    if (runs || (fact_flag(check->question, "options.offline") == 1 && !strcmp(state, "shut off")))
        check_good(check, NULL, state, NULL);
    else
        check_bad(check, NULL, state, NULL,
                  strcmp(state, "shut off") ? "wait until it has ended, then move its definition with --offline"
                                            : "start it, or move its definition with --offline");
}

void check_same_host(struct check *check)
{
    const char *here = fact_text(check->question, "host.uuid"), *there = fact_text(check->answer, "host.uuid");
    const char *name = fact_text(check->question, "host.hostname"), *other = fact_text(check->answer, "host.hostname");
    if (!here)
        return;
    if (!there)
        check_unknown(check, NULL, name, NULL);
    else if (strcmp(here, there))
        check_good(check, NULL, name, other);
    else
        check_bad(check, NULL, name, arena_printf(check->arena, "%s, with the same host UUID", other ?: ""),
                  "name another host, or give cloned hosts UUIDs of their own (--host-uuid)");
}

void check_name_free(struct check *check)
{
    const char *state = fact_text(check->answer, "guest.state");
    const char *holder = fact_text(check->answer, "guest.name_holder");
    const char *other = fact_text(check->answer, "guest.other_name");
    if (!fact(check->answer, "guest"))
        return;
    if (other)
        check_bad(check, NULL, NULL, arena_printf(check->arena, "its UUID is that of domain '%s'", other),
                  "undefine that one there, or give one of them another UUID");
    else if (holder)
        check_bad(check, NULL, NULL, arena_printf(check->arena, "another domain has the name (UUID %s)", holder),
                  "rename or undefine it there, or choose another name with --dname");
    else if (state && strcmp(state, "shut off"))
        check_bad(check, NULL, NULL, arena_printf(check->arena, "the same domain is %s there", state),
                  "a guest must not run twice: find out which is the right one, and destroy the other");
    else
        check_good(check, NULL, NULL, state ? "defined, shut off" : "free");
}

static void refuse_each(struct check *check, const char *path, const char *good, const char *remedy)
{
    const json_t *list = fact(check->question, path);
    if (list && !json_array_size(list))
        check_good(check, NULL, good, NULL);
    for (size_t i = 0; i < json_array_size(list); i++)
        check_bad(check, NULL, fact_item(list, i), NULL, remedy);
}

void check_blockers(struct check *check)
{
    refuse_each(check, "guest.blocked", "QEMU names no obstacle", "detach that device, or shut the guest down and move "
                "it with --offline");
}

void check_hostdevs(struct check *check)
{
    refuse_each(check, "guest.hostdevs", "none", "detach it first (detach-device), attach one of the destination "
                "afterwards");
}

void check_bound(struct check *check)
{
    refuse_each(check, "guest.bound", "nothing", "detach it, or shut the guest down and move it with --offline");
}

void check_vectors(struct check *check)
{
    const json_t *list = fact(check->question, "guest.virtio");
    bool good = list;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *device = json_array_get(list, i);
        int64_t vectors;
        if (!fact_number(device, "vectors", &vectors) || vectors <= 32)
            continue;
        good = false;
        check_bad(check, fact_text(device, "device"), arena_printf(check->arena, "%lld vectors", (long long)vectors),
                  NULL, "give it fewer queues (or vectors='32') at its next start");
    }
    if (good)
        check_good(check, NULL, "at most 32", NULL);
}

void check_tcg_dirty(struct check *check)
{
    const char *type = fact_text(check->question, "guest.type");
    const json_t *blocks = fact(check->question, "guest.ram_blocks_kib");
    int64_t version;
    if (!type || strcmp(type, "qemu") || fact_flag(check->question, "options.offline") == 1 ||
        !fact_number(check->question, "host.qemu_version", &version))
        return;
    const char *shown = version_text(check->arena, version);
    for (size_t i = 0; version < QEMU_VERSION(9, 0) && i < json_array_size(blocks); i++) {
        int64_t kib = json_integer_value(json_array_get(blocks, i));
        if (kib > 0 && kib % 256 == 0) {
            check_bad(check, NULL, arena_printf(check->arena, "%s without KVM, a block of %lld KiB", shown,
                                                (long long)kib), NULL,
                      arena_printf(check->arena, "migrate it paused, use KVM or QEMU 9.0, or give it %lld KiB at its "
                                   "next start", (long long)kib - 8));
            return;
        }
    }
    check_good(check, NULL, shown, NULL);
}

/* -- QEMU ---------------------------------------------------------------------------------------------------------- */

void check_emulator(struct check *check)
{
    const char *path = fact_text(check->question, "guest.emulator"), *fault = fact_text(check->answer, "qemu.error");
    if (!path || !check->answer)
        return;
    if (fault)
        check_bad(check, NULL, path, fault, "install QEMU of that architecture there, or name another with --xml");
    else if (fact(check->answer, "qemu"))
        check_good(check, NULL, path, fact_text(check->answer, "qemu.emulator") ?: "there");
    else
        check_unknown(check, NULL, path, NULL);
}

void check_machine(struct check *check)
{
    const char *wanted = fact_text(check->question, "guest.machine"), *found = fact_text(check->answer, "qemu.machine");
    int known = fact_flag(check->answer, "qemu.machine_known");
    if (!wanted || !fact(check->answer, "qemu"))
        return;
    if (known < 0)
        check_unknown(check, NULL, wanted, NULL);
    else if (known)
        check_good(check, NULL, wanted, found ?: wanted);
    else
        check_bad(check, NULL, wanted, "not known", "install a QEMU there that has it, or restart the guest with a "
                                                    "machine type that both have");
}

static bool versions(struct check *check, int64_t *here, int64_t *there)
{
    return fact_number(check->question, "host.qemu_version", here) &&
           fact_number(check->answer, "qemu.version", there);
}

void check_qemu_older(struct check *check)
{
    int64_t here, there;
    if (!versions(check, &here, &there))
        return;
    if (there < here)
        check_bad(check, NULL, version_text(check->arena, here), version_text(check->arena, there),
                  "bring the destination's QEMU to the source's version first");
    else
        check_good(check, NULL, version_text(check->arena, here), version_text(check->arena, there));
}

void check_qemu_newer(struct check *check)
{
    int64_t here, there;
    if (versions(check, &here, &there) && there > here)
        check_bad(check, NULL, version_text(check->arena, here), version_text(check->arena, there),
                  "the way back goes to an older QEMU: test it with a guest that you can spare");
}

void check_capabilities(struct check *check)
{
    const json_t *wishes = fact(check->question, "options.capabilities");
    const json_t *there = fact(check->answer, "qemu.migration_capabilities");
    for (size_t i = 0; i < json_array_size(wishes); i++) {
        const json_t *wish = json_array_get(wishes, i);
        const char *option = fact_text(wish, "option"), *name = fact_text(wish, "capability") ?: "";
        bool both = fact_flag(wish, "both") == 1;
        if (fact_flag(wish, "here") == 0)
            check_bad(check, option, arena_printf(check->arena, "QEMU has no '%s'", name), NULL,
                      "leave the option out, or restart the guest with a newer QEMU");
        else if (both && check->answer && !there)
            check_unknown(check, option, name, NULL);
        else if (both && there && !fact_list_has(there, name))
            check_bad(check, option, name, "QEMU does not have it", "leave the option out, or install a newer QEMU "
                "there");
        else
            check_good(check, option, name, both && there ? name : NULL);
    }
}

void check_virt_type(struct check *check)
{
    const char *type = fact_text(check->question, "guest.type");
    int kvm = fact_flag(check->answer, "qemu.kvm");
    if (!type || strcmp(type, "kvm") || !check->answer)
        return;
    if (kvm < 0)
        check_unknown(check, NULL, "kvm", NULL);
    else if (kvm)
        check_good(check, NULL, "kvm", "kvm");
    else
        check_bad(check, NULL, "kvm", "KVM cannot be used", "load the kvm module there, and turn virtualization on in "
                  "its firmware");
}

/* -- processor ----------------------------------------------------------------------------------------------------- */

void check_cpu(struct check *check)
{
    const json_t *lacks = fact(check->answer, "cpu.lacks");
    const char *fault = fact_text(check->answer, "cpu.error"), *fits = fact_text(check->answer, "cpu.fits");
    const char *model = fact_text(check->question, "guest.cpu.model") ?: fact_text(check->question, "guest.cpu.mode");
    if (!check->answer || !fact(check->question, "guest.cpu"))
        return;
    model = model ?: "the machine's default";
    if (fault)
        check_bad(check, NULL, model, fault, "restart the guest with a model that both hosts have");
    else if (!lacks)
        check_unknown(check, NULL, model, NULL);
    else if (!json_array_size(lacks))
        check_good(check, NULL, model, "has all of it");
    else
        check_bad(check, NULL, model, arena_printf(check->arena, "lacks %s", list_text(check->arena, lacks)),
                  fits ? arena_printf(check->arena, "at its next start give it a CPU that fits both: %s", fits)
                       : "restart the guest with a model that both hosts have");
}

void check_cpu_passthrough(struct check *check)
{
    const char *mode = fact_text(check->question, "guest.cpu.mode");
    const char *here = fact_text(check->question, "host.cpu"), *there = fact_text(check->answer, "host.cpu");
    if (!mode || (strcmp(mode, "host-passthrough") && strcmp(mode, "maximum")) || !check->answer)
        return;
    if (!here || !there)
        check_unknown(check, NULL, here, there);
    else if (!strcmp(here, there))
        check_good(check, NULL, here, there);
    else
        check_bad(check, NULL, here, there, "use mode='host-model' or a named model at its next start");
}

void check_vcpus(struct check *check)
{
    int64_t wanted, most;
    if (!fact_number(check->question, "guest.vcpus", &wanted) || !fact_number(check->answer, "qemu.max_vcpus", &most))
        return;
    const char *here = arena_printf(check->arena, "%lld", (long long)wanted);
    const char *there = arena_printf(check->arena, "at most %lld", (long long)most);
    if (wanted > most)
        check_bad(check, NULL, here, there, "choose a host whose QEMU takes more");
    else
        check_good(check, NULL, here, there);
}

static int64_t highest(const char *cpuset)
{
    int64_t most = -1;
    for (const char *at = cpuset; *at;) {
        char *end;
        long number = *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : -1;
        if (number < 0) {
            at++;
            continue;
        }
        if (at == cpuset || at[-1] != '^')
            most = number > most ? number : most;
        at = end;
    }
    return most;
}

void check_pinning(struct check *check)
{
    const json_t *sets = fact(check->question, "guest.pinned");
    int64_t most = -1, last;
    for (size_t i = 0; i < json_array_size(sets); i++) {
        int64_t one = highest(fact_item(sets, i));
        most = one > most ? one : most;
    }
    if (most < 0 || !check->answer)
        return;
    const char *here = arena_printf(check->arena, "CPU %lld", (long long)most);
    if (!fact_number(check->answer, "host.last_cpu", &last))
        check_unknown(check, NULL, here, NULL);
    else if (most > last)
        check_bad(check, NULL, here, arena_printf(check->arena, "the last CPU is %lld", (long long)last),
                  "unpin it (vcpupin, emulatorpin), or give other CPUs with --xml");
    else
        check_good(check, NULL, here, arena_printf(check->arena, "the last CPU is %lld", (long long)last));
}

/* -- memory -------------------------------------------------------------------------------------------------------- */

static bool takes_memory(struct check *check, int64_t *kib)
{
    return fact_number(check->question, "guest.memory_kib", kib) && check->answer &&
           fact_flag(check->question, "guest.hugepages") != 1 && fact_flag(check->question, "options.offline") != 1;
}

/* What it will take at once: all of it, or what it has touched so far. */
static bool takes_at_once(struct check *check, int64_t *kib)
{
    int64_t resident;
    bool known = fact_number(check->question, "guest.resident_kib", &resident);
    if (!takes_memory(check, kib) || fact_flag(check->question, "guest.memory_at_once") == 1)
        return fact_number(check->question, "guest.memory_kib", kib);
    *kib = resident < *kib ? resident : *kib;
    return known;
}

void check_memory(struct check *check)
{
    int64_t wanted, available, swap;
    if (!takes_memory(check, &wanted))
        return;
    bool known = takes_at_once(check, &wanted);
    const char *here = mib_text(check->arena, wanted);
    if (!known || !fact_number(check->answer, "memory.available_kib", &available)) {
        check_unknown(check, NULL, here, NULL);
        return;
    }
    fact_number(check->answer, "memory.swap_free_kib", &swap);
    const char *there = arena_printf(check->arena, "%s available, %s swap", mib_text(check->arena, available),
                                     mib_text(check->arena, swap));
    if (wanted > available + swap)
        check_bad(check, NULL, here, there, "make room there, choose a larger host, or shrink the guest (setmem)");
    else
        check_good(check, NULL, here, there);
}

void check_memory_room(struct check *check)
{
    int64_t wanted, available, total;
    if (!takes_memory(check, &wanted) || !fact_number(check->answer, "memory.available_kib", &available) ||
        !fact_number(check->answer, "memory.total_kib", &total))
        return;
    const char *here = mib_text(check->arena, wanted);
    const char *there = arena_printf(check->arena, "%s of %s available", mib_text(check->arena, available),
                                     mib_text(check->arena, total));
    if (wanted + total / 20 > available)
        check_bad(check, NULL, here, there, "expect swapping there, or choose a host with more room");
    else
        check_good(check, NULL, here, there);
}

void check_hugepages(struct check *check)
{
    int64_t wanted, size, free_pages, pool_kib;
    const json_t *pools = fact(check->answer, "memory.hugepages"), *pool = NULL;
    if (fact_flag(check->question, "guest.hugepages") != 1 || !check->answer ||
        !fact_number(check->question, "guest.memory_kib", &wanted))
        return;
    fact_number(check->question, "guest.hugepage_kib", &size);
    for (size_t i = 0; i < json_array_size(pools) && !pool; i++)
        if (fact_number(json_array_get(pools, i), "size_kib", &pool_kib) && (!size || pool_kib == size))
            pool = json_array_get(pools, i);
    const char *here = arena_printf(check->arena, "%s in pages of %lld KiB", mib_text(check->arena, wanted),
                                    (long long)size);
    if (!pools) {
        check_unknown(check, NULL, here, NULL);
        return;
    }
    fact_number(pool, "free", &free_pages);
    fact_number(pool, "size_kib", &pool_kib);
    const char *there = pool ? arena_printf(check->arena, "%lld pages of %lld KiB free", (long long)free_pages,
                                            (long long)pool_kib)
                             : "no pages of that size";
    if (!pool || free_pages * pool_kib < wanted)
        check_bad(check, NULL, here, there, "allocate more there (allocpages), before its memory is in pieces");
    else
        check_good(check, NULL, here, there);
}
