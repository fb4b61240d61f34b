/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "model/complete.h"
#include "model/xml.h"

struct controller *controller_find(const struct domain_def *def, enum controller_type type, uint32_t index)
{
    for (uint32_t i = 0; i < def->controllers.count; i++) {
        struct controller *controller = def->controllers.item[i];
        if (controller->type == type && controller->index_set && controller->index == index)
            return controller;
    }
    return NULL;
}

struct controller *controller_add(struct domain_def *def, enum controller_type type, uint32_t index)
{
    struct controller *controller = arena_struct(def->arena, struct controller);
    controller->type = type;
    controller->index = index;
    controller->index_set = true;
    list_add(def->arena, &def->controllers, controller);
    return controller;
}

static struct controller *controller_need(struct domain_def *def, enum controller_type type, uint32_t index)
{
    struct controller *found = controller_find(def, type, index);
    return found ? found : controller_add(def, type, index);
}

/* UHCI controllers that share an EHCI controller's index and slot. */
static bool is_companion(const struct controller *controller)
{
    return controller->model == CONTROLLER_MODEL_ICH9_UHCI1 || controller->model == CONTROLLER_MODEL_ICH9_UHCI2 ||
           controller->model == CONTROLLER_MODEL_ICH9_UHCI3;
}

/* Controllers of a type then stand by index, types as they first appear. */
static void controllers_sort(struct domain_def *def)
{
    struct controller **all = def->controllers.item;
    for (uint32_t count = 0; count < def->controllers.count; count++) {
        struct controller *controller = all[count];
        uint32_t place = count;
        for (uint32_t i = count; i-- > 0;) {
            if (all[i]->type != controller->type)
                continue;
            uint32_t index = all[i]->index_set ? all[i]->index : UINT32_MAX;
            bool behind = !controller->index_set || index <= controller->index;
            if (behind && all[i]->index_set && controller->index_set && all[i]->index == controller->index &&
                all[i]->info.master_startport.set && !controller->info.master_startport.set)
                behind = false; /* companions stand behind their master */
            if (behind) {
                place = i + 1;
                break;
            }
            place = i;
        }
        memmove(all + place + 1, all + place, (count - place) * sizeof(*all));
        all[place] = controller;
    }
}

static void indexes_complete(struct domain_def *def)
{
    for (uint32_t i = 0; i < def->controllers.count; i++) {
        struct controller *controller = def->controllers.item[i];
        if (controller->index_set)
            continue;
        uint32_t index = 0;
        if (controller->type == CONTROLLER_TYPE_USB && is_companion(controller) && i > 0 &&
            def->controllers.item[i - 1]->type == CONTROLLER_TYPE_USB &&
            (def->controllers.item[i - 1]->model == CONTROLLER_MODEL_ICH9_EHCI1 ||
             is_companion(def->controllers.item[i - 1])))
            index = def->controllers.item[i - 1]->index;
        else
            while (controller_find(def, controller->type, index))
                index++;
        controller->index = index;
        controller->index_set = true;
    }
}

static int root_complete(struct domain_def *def, enum controller_model model, struct error *err)
{
    struct controller *root = controller_find(def, CONTROLLER_TYPE_PCI, 0);
    if (!root) {
        controller_add(def, CONTROLLER_TYPE_PCI, 0)->model = model;
        return 0;
    }
    if (!root->model)
        root->model = model;
    if (root->model == model)
        return 0;
    return error_set(err, ERR_XML_ERROR, "the PCI controller with index 0 of domain '%s' is a %s; machine type "
                     "'%s' needs a %s there", def->name, controller_model_name(root->model), def->os.machine,
                     controller_model_name(model));
}

static void models_complete(struct domain_def *def)
{
    for (uint32_t i = 0; i < def->controllers.count; i++) {
        struct controller *controller = def->controllers.item[i];
        if (controller->type == CONTROLLER_TYPE_USB && !controller->model)
            controller->model = machine_is_q35(def) ? CONTROLLER_MODEL_QEMU_XHCI : CONTROLLER_MODEL_PIIX3_UHCI;
        if (controller->type == CONTROLLER_TYPE_SCSI &&
            (!controller->model || controller->model == CONTROLLER_MODEL_AUTO))
            controller->model = CONTROLLER_MODEL_LSILOGIC;
    }
}

int controllers_complete(struct domain_def *def, struct error *err)
{
    controllers_sort(def);
    indexes_complete(def);
    if (def->os.type == OS_TYPE_HVM && (machine_is_q35(def) || machine_is_pc(def))) {
        if (!controller_find(def, CONTROLLER_TYPE_USB, 0))
            controller_add(def, CONTROLLER_TYPE_USB, 0);
        if (machine_is_q35(def))
            controller_need(def, CONTROLLER_TYPE_SATA, 0);
        if (root_complete(def, machine_is_q35(def) ? CONTROLLER_MODEL_PCIE_ROOT : CONTROLLER_MODEL_PCI_ROOT, err) < 0)
            return -1;
    }
    models_complete(def);
    return 0;
}

static uint32_t controllers_count(const struct domain_def *def, enum controller_type type)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < def->controllers.count; i++)
        count += def->controllers.item[i]->type == type;
    return count;
}

/* The only one of its type, with index 0 and the model that it would get anyway. */
static bool controller_is_implied(const struct domain_def *def, const struct controller *controller)
{
    enum controller_model model = controller->type == CONTROLLER_TYPE_PCI   ? CONTROLLER_MODEL_PCI_ROOT
                                  : controller->type == CONTROLLER_TYPE_USB ? CONTROLLER_MODEL_PIIX3_UHCI
                                                                            : CONTROLLER_MODEL_ABSENT;
    return model && controller->index == 0 && controller->model == model && machine_is_pc(def) &&
           !controller->pcihole64_kib && controllers_count(def, controller->type) == 1;
}

void implied_remove(struct domain_def *def)
{
    controllers_sort(def);
    struct controller **kept = arena_new_array(def->arena, def->controllers.count, struct controller *);
    uint32_t count = 0;
    for (uint32_t i = 0; i < def->controllers.count; i++)
        if (!controller_is_implied(def, def->controllers.item[i]))
            kept[count++] = def->controllers.item[i];
    def->controllers.item = kept;
    def->controllers.count = def->controllers.capacity = count;

    for (uint32_t i = 0; i < def->inputs.count; i++) {
        struct input **input = &def->inputs.item[i];
        if ((*input)->type != INPUT_TYPE_KEYBOARD || (*input)->bus != INPUT_BUS_PS2 || (*input)->extra)
            continue;
        def->inputs.count--;
        memmove(input, input + 1, (def->inputs.count - i) * sizeof(*input));
        break;
    }
    if (def->audios.count == 1 && !def->audios.item[0]->extra &&
        (def->audios.item[0]->type == AUDIO_TYPE_NONE || def->audios.item[0]->type == AUDIO_TYPE_SPICE))
        def->audios.count = 0;
}

static void drive_controllers(struct domain_def *def, enum disk_bus bus, enum controller_type type)
{
    int64_t last = -1;
    for (uint32_t i = 0; i < def->disks.count; i++) {
        const struct disk *disk = def->disks.item[i];
        if (disk->bus == bus && disk->info.address.type == ADDRESS_TYPE_DRIVE &&
            disk->info.address.drive.controller > last && disk->info.address.drive.controller < 256)
            last = disk->info.address.drive.controller;
    }
    for (uint32_t i = 0; i <= last; i++)
        controller_need(def, type, i);
}

static void virtio_serial_controllers(struct domain_def *def)
{
    for (uint32_t i = 0; i < def->channels.count; i++) {
        const struct chardev *channel = def->channels.item[i];
        if (channel->target_type != CHARDEV_TARGET_VIRTIO)
            continue;
        uint32_t last = channel->info.address.type == ADDRESS_TYPE_VIRTIO_SERIAL
                            ? channel->info.address.virtio_serial.controller : 0;
        for (uint32_t index = 0; index <= last && index < 256; index++)
            controller_need(def, CONTROLLER_TYPE_VIRTIO_SERIAL, index);
    }
    for (uint32_t i = 0; i < def->consoles.count; i++)
        if (def->consoles.item[i]->target_type == CHARDEV_TARGET_VIRTIO)
            controller_need(def, CONTROLLER_TYPE_VIRTIO_SERIAL, 0);
}

void controllers_implied(struct domain_def *def)
{
    drive_controllers(def, DISK_BUS_SCSI, CONTROLLER_TYPE_SCSI);
    drive_controllers(def, DISK_BUS_FDC, CONTROLLER_TYPE_FDC);
    drive_controllers(def, DISK_BUS_IDE, CONTROLLER_TYPE_IDE);
    drive_controllers(def, DISK_BUS_SATA, CONTROLLER_TYPE_SATA);
    virtio_serial_controllers(def);
    for (uint32_t i = 0; i < def->smartcards.count; i++)
        controller_need(def, CONTROLLER_TYPE_CCID, 0);
    models_complete(def);
}
