/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <time.h>

#include "qemu/command_parts.h"

/* --- SMBIOS --- */

/* <entry name=> of libvirt's XML and the word of QEMU's -smbios. */
static const struct {
    const char *entry, *key;
} smbios_keys[] = {
    {"vendor", "vendor"},   {"version", "version"}, {"date", "date"},         {"release", "release"},
    {"manufacturer", "manufacturer"}, {"product", "product"}, {"serial", "serial"}, {"uuid", "uuid"},
    {"sku", "sku"},         {"family", "family"},   {"asset", "asset"},       {"location", "location"},
};

static void build_smbios_table(struct build *build, int type, const struct sysinfo_group *group)
{
    scoped_text struct text table = {0};
    text_printf(&table, "type=%d", type);
    for (uint32_t i = 0; group && i < group->entries.count; i++) {
        const struct sysinfo_entry *entry = group->entries.item[i];
        if (type == 11)
            text_printf(&table, ",value=%s", quoted(build, entry->value ?: ""));
        for (size_t j = 0; type != 11 && j < COUNT(smbios_keys); j++)
            if (string_equal(entry->name, smbios_keys[j].entry))
                text_printf(&table, ",%s=%s", smbios_keys[j].key, quoted(build, entry->value ?: ""));
    }
    if (group && group->entries.count)
        add(build, "-smbios", text_string(&table));
}

static void build_fwcfg(struct build *build, const struct sysinfo *sysinfo)
{
    for (uint32_t i = 0; i < sysinfo->entries.count; i++) {
        const struct sysinfo_entry *entry = sysinfo->entries.item[i];
        addf(build, "-fw_cfg", "name=%s,%s=%s", quoted(build, entry->name), entry->file ? "file" : "string",
             quoted(build, entry->file ?: entry->value ?: ""));
    }
}

static int build_sysinfo(struct build *build, struct error *err)
{
    const struct domain_def *def = build->def;
    if (def->os.smbios_mode == SMBIOS_MODE_HOST)
        return unsupported(err, "<smbios mode='host'> is not supported: copy the values wanted into <sysinfo> and use "
                                "mode='sysinfo'");
    for (uint32_t i = 0; i < def->sysinfos.count; i++) {
        const struct sysinfo *sysinfo = def->sysinfos.item[i];
        if (sysinfo->type == SYSINFO_TYPE_FWCFG) {
            build_fwcfg(build, sysinfo);
        } else if (def->os.smbios_mode == SMBIOS_MODE_SYSINFO) {
            build_smbios_table(build, 0, sysinfo->bios);
            build_smbios_table(build, 1, sysinfo->system);
            for (uint32_t j = 0; j < sysinfo->base_boards.count; j++)
                build_smbios_table(build, 2, sysinfo->base_boards.item[j]);
            build_smbios_table(build, 3, sysinfo->chassis);
            build_smbios_table(build, 11, sysinfo->oem_strings);
        }
    }
    return 0;
}

/* --- time --- */

static void append_base(struct build *build, struct text *rtc)
{
    const struct clock *clock = &build->def->clock;
    time_t now = time(NULL);
    struct tm local, utc;
    char base[32];
    switch (clock->offset) {
    case CLOCK_OFFSET_LOCALTIME:
    case CLOCK_OFFSET_TIMEZONE: /* TZ in QEMU's environment says which */
        text_append(rtc, "base=localtime");
        return;
    case CLOCK_OFFSET_VARIABLE:
        localtime_r(&now, &local);
        now += clock->adjustment_s.value + (clock->basis == CLOCK_BASIS_LOCALTIME ? local.tm_gmtoff : 0);
        break;
    case CLOCK_OFFSET_ABSOLUTE:
        now = (time_t)clock->start.value;
        break;
    default:
        text_append(rtc, "base=utc");
        return;
    }
    strftime(base, sizeof base, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now, &utc));
    text_printf(rtc, "base=%s", base);
}

static void build_clock(struct build *build)
{
    static const char *const tracks[] = {
        [TIMER_TRACK_BOOT] = "",
        [TIMER_TRACK_GUEST] = ",clock=vm",
        [TIMER_TRACK_WALL] = ",clock=host",
    };
    const struct clock *clock = &build->def->clock;
    scoped_text struct text rtc = {0};
    append_base(build, &rtc);
    for (uint32_t i = 0; i < clock->timers.count; i++) {
        const struct timer *timer = clock->timers.item[i];
        if (timer->name != TIMER_NAME_RTC)
            continue;
        if (timer->track)
            text_append(&rtc, tracks[timer->track]);
        if (timer->tickpolicy == TICKPOLICY_CATCHUP)
            text_append(&rtc, ",driftfix=slew");
    }
    add(build, "-rtc", text_string(&rtc));
    for (uint32_t i = 0; i < clock->timers.count; i++) {
        const struct timer *timer = clock->timers.item[i];
        if (timer->name == TIMER_NAME_PIT && timer->tickpolicy == TICKPOLICY_DELAY)
            add(build, "-global", "kvm-pit.lost_tick_policy=delay");
        else if (timer->name == TIMER_NAME_PIT && timer->tickpolicy == TICKPOLICY_DISCARD)
            add(build, "-global", "kvm-pit.lost_tick_policy=discard");
    }
}

/* --- boot --- */

static void build_boot(struct build *build)
{
    const struct os *os = &build->def->os;
    scoped_text struct text boot = {0};
    if (os->bootmenu_enable)
        text_printf(&boot, "menu=%s,", os->bootmenu_enable == YESNO_YES ? "on" : "off");
    if (os->bios_reboot_timeout.set)
        text_printf(&boot, "reboot-timeout=%d,", os->bios_reboot_timeout.value);
    if (os->bootmenu_timeout.set)
        text_printf(&boot, "splash-time=%u,", os->bootmenu_timeout.value);
    text_append(&boot, "strict=on");
    add(build, "-boot", text_string(&boot));
    if (os->kernel)
        add(build, "-kernel", os->kernel);
    if (os->initrd)
        add(build, "-initrd", os->initrd);
    if (os->cmdline)
        add(build, "-append", os->cmdline);
    if (os->dtb)
        add(build, "-dtb", os->dtb);
    if (os->acpi_table)
        addf(build, "-acpitable", "sig=%s,file=%s", "SLIC", quoted(build, os->acpi_table));
}

static void build_suspend(struct build *build)
{
    const char *device = build->q35 ? "ICH9-LPC" : "PIIX4_PM";
    enum yesno memory = build->def->suspend_to_mem, disk = build->def->suspend_to_disk;
    if (build->x86 && memory)
        addf(build, "-global", "%s.disable_s3=%d", device, memory == YESNO_NO);
    if (build->x86 && disk)
        addf(build, "-global", "%s.disable_s4=%d", device, disk == YESNO_NO);
}

/* Those that are listed with their ids, and the rest of <iothreads> with the lowest free ones. */
static void build_iothreads(struct build *build)
{
    const struct domain_def *def = build->def;
    uint32_t listed = def->iothread_ids.count, next = 1;
    for (uint32_t i = 0; i < def->iothreads || i < listed; i++) {
        const struct iothread *thread = i < listed ? def->iothread_ids.item[i] : NULL;
        for (uint32_t j = 0; !thread && j < listed; j++)
            if (def->iothread_ids.item[j]->id == next)
                next++, j = UINT32_MAX; /* taken: look through all again */
        json_t *object = json_object();
        put_string(object, "qom-type", "iothread");
        put_string(object, "id", arena_printf(build->arena, "iothread%u", thread ? thread->id : next++));
        if (thread && thread->thread_pool_min.set)
            json_object_set_new(object, "thread-pool-min", json_integer(thread->thread_pool_min.value));
        if (thread && thread->thread_pool_max.set)
            json_object_set_new(object, "thread-pool-max", json_integer(thread->thread_pool_max.value));
        add_json(build, "-object", object);
    }
}

int build_platform(struct build *build, struct error *err)
{
    if (build_sysinfo(build, err) < 0)
        return -1;
    build_clock(build);
    /* A guest that powers off or crashes stays to be looked at until the daemon has decided what follows. */
    add(build, "-no-shutdown", NULL);
    build_suspend(build);
    build_boot(build);
    build_iothreads(build);
    return 0;
}
