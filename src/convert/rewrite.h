/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "convert/rules.h"

/* One run of the rules over one definition, for the files that hold them. */

struct rename {
    const char *from, *to; /* names of disks in the guest: "xvda" -> "vda" */
};

struct rewrite;

/* A row of rules.c. Exactly one of the functions is there: for the domain, for each disk or for each interface. A rule
 * that finds nothing to change says nothing. */
struct rule {
    const char *id;  /* "disk/target": what it is about / the word that the report shows */
    const char *why; /* why it is changed, and so */
    void (*domain)(struct rewrite *rewrite);
    void (*disk)(struct rewrite *rewrite, struct disk *disk);
    void (*interface)(struct rewrite *rewrite, struct interface *interface);
};

struct rewrite {
    struct domain_def *def;
    struct arena *arena; /* def's */
    const struct rules_options *options;
    struct report *report;
    const struct rule *rule; /* the one that runs */
    const char *subject;     /* of what it looks at */
    bool paravirtual;        /* PV or PVH: the guest drives Xen's devices and has never seen others */
    struct rename *renames;
    size_t rename_count;
    struct error *err;       /* set by a rule that cannot go on */
};

/* Reports the change that the running rule makes; NULL = nothing stood or stands there. */
void rewrite_changed(struct rewrite *rewrite, const char *from, const char *to);
void rewrite_left(struct rewrite *rewrite, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same about another thing than the one the rule looks at. */
void rewrite_changed_of(struct rewrite *rewrite, const char *subject, const char *from, const char *to);

/* Sets a string or an enum's value and reports it, when it is not so already. */
void rewrite_string(struct rewrite *rewrite, const char **place, const char *value);
#define rewrite_enum(rewrite, place, value, type)                                                        \
    do {                                                                                                 \
        if (*(place) != (value)) {                                                                       \
            rewrite_changed(rewrite, type##_name(*(place)), type##_name(value));                         \
            *(place) = (value);                                                                          \
        }                                                                                                \
    } while (0)
/* Takes an item out of a LIST_OF. */
void list_drop(void *list, uint32_t index);
/* Takes out what no table of the model knows and whose name begins so; each is reported. */
void rewrite_drop_extras(struct rewrite *rewrite, struct extra **extras, const char *prefix);

/* rules_machine.c */
void rule_type(struct rewrite *rewrite);
void rule_name(struct rewrite *rewrite);
void rule_bootloader(struct rewrite *rewrite);
void rule_bootloader_args(struct rewrite *rewrite);
void rule_os_type(struct rewrite *rewrite);
void rule_arch(struct rewrite *rewrite);
void rule_machine(struct rewrite *rewrite);
void rule_loader(struct rewrite *rewrite);
void rule_kernel(struct rewrite *rewrite);
void rule_boot(struct rewrite *rewrite);
void rule_cmdline(struct rewrite *rewrite);
void rule_emulator(struct rewrite *rewrite);
void rule_features(struct rewrite *rewrite);
void rule_xen_features(struct rewrite *rewrite);
void rule_viridian(struct rewrite *rewrite);
void rule_cpu(struct rewrite *rewrite);
void rule_cpuset(struct rewrite *rewrite);
void rule_timers(struct rewrite *rewrite);
void rule_clock(struct rewrite *rewrite);
void rule_on_poweroff(struct rewrite *rewrite);
void rule_on_reboot(struct rewrite *rewrite);
void rule_on_crash(struct rewrite *rewrite);
void rule_seclabels(struct rewrite *rewrite);
void rule_extras(struct rewrite *rewrite);
/* rules_disk.c */
void rule_disk_driver(struct rewrite *rewrite, struct disk *disk);
void rule_disk_format(struct rewrite *rewrite, struct disk *disk);
void rule_disk_bus(struct rewrite *rewrite, struct disk *disk);
void rule_disk_target(struct rewrite *rewrite, struct disk *disk);
void rule_disk_backend(struct rewrite *rewrite, struct disk *disk);
/* rules_interface.c */
void rule_interface_hostdev(struct rewrite *rewrite);
void rule_interface_model(struct rewrite *rewrite, struct interface *interface);
void rule_interface_script(struct rewrite *rewrite, struct interface *interface);
void rule_interface_target(struct rewrite *rewrite, struct interface *interface);
void rule_interface_source(struct rewrite *rewrite, struct interface *interface);
void rule_interface_ip(struct rewrite *rewrite, struct interface *interface);
void rule_interface_backend(struct rewrite *rewrite, struct interface *interface);
void rule_interface_mac(struct rewrite *rewrite, struct interface *interface);
/* rules_device.c */
void rule_console(struct rewrite *rewrite);
void rule_serial(struct rewrite *rewrite);
void rule_channel(struct rewrite *rewrite);
void rule_input(struct rewrite *rewrite);
void rule_graphics(struct rewrite *rewrite);
void rule_listen(struct rewrite *rewrite);
void rule_video(struct rewrite *rewrite);
void rule_memballoon(struct rewrite *rewrite);
void rule_hostdev(struct rewrite *rewrite);
void rule_controller(struct rewrite *rewrite);
void rule_address(struct rewrite *rewrite);
