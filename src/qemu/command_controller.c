/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/command_parts.h"

/* Models whose device needs no more than its name. */
static const struct {
    enum controller_model model;
    const char *driver;
} drivers[] = {
    {CONTROLLER_MODEL_PIIX3_UHCI, "piix3-usb-uhci"},
    {CONTROLLER_MODEL_PIIX4_UHCI, "piix4-usb-uhci"},
    {CONTROLLER_MODEL_EHCI, "usb-ehci"},
    {CONTROLLER_MODEL_ICH9_EHCI1, "ich9-usb-ehci1"},
    {CONTROLLER_MODEL_ICH9_UHCI1, "ich9-usb-uhci1"},
    {CONTROLLER_MODEL_ICH9_UHCI2, "ich9-usb-uhci2"},
    {CONTROLLER_MODEL_ICH9_UHCI3, "ich9-usb-uhci3"},
    {CONTROLLER_MODEL_VT82C686B_UHCI, "vt82c686b-usb-uhci"},
    {CONTROLLER_MODEL_PCI_OHCI, "pci-ohci"},
    {CONTROLLER_MODEL_NEC_XHCI, "nec-usb-xhci"},
    {CONTROLLER_MODEL_QEMU_XHCI, "qemu-xhci"},
    {CONTROLLER_MODEL_LSILOGIC, "lsi"},
    {CONTROLLER_MODEL_LSISAS1068, "mptsas1068"},
    {CONTROLLER_MODEL_LSISAS1078, "megasas"},
    {CONTROLLER_MODEL_VMPVSCSI, "pvscsi"},
    {CONTROLLER_MODEL_IBMVSCSI, "spapr-vscsi"},
    {CONTROLLER_MODEL_AM53C974, "am53c974"},
    {CONTROLLER_MODEL_DC390, "dc-390"},
    {CONTROLLER_MODEL_PCI_BRIDGE, "pci-bridge"},
    {CONTROLLER_MODEL_DMI_TO_PCI_BRIDGE, "i82801b11-bridge"},
    {CONTROLLER_MODEL_PCIE_TO_PCI_BRIDGE, "pcie-pci-bridge"},
    {CONTROLLER_MODEL_PCIE_ROOT_PORT, "pcie-root-port"},
    {CONTROLLER_MODEL_PCIE_SWITCH_UPSTREAM_PORT, "x3130-upstream"},
    {CONTROLLER_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT, "xio3130-downstream"},
    {CONTROLLER_MODEL_PCI_EXPANDER_BUS, "pxb"},
    {CONTROLLER_MODEL_PCIE_EXPANDER_BUS, "pxb-pcie"},
};

static const char *model_driver(enum controller_model model)
{
    for (size_t i = 0; i < COUNT(drivers); i++)
        if (drivers[i].model == model)
            return drivers[i].driver;
    return NULL;
}

static int no_driver(const struct controller *controller, struct error *err)
{
    return unsupported(err, "<controller type='%s' model='%s'> is no device of QEMU",
                       controller_type_name(controller->type), controller_model_name(controller->model) ?: "default");
}

static int build_pci(struct build *build, const struct controller *controller, struct error *err)
{
    static const struct property rows[] = {
        PROPERTY(controller, port, OPTIONAL_U32, "port"),
        PROPERTY(controller, chassis, OPTIONAL_U32, "chassis"),
        PROPERTY(controller, chassis_nr, OPTIONAL_U32, "chassis_nr"),
        PROPERTY(controller, bus_nr, OPTIONAL_U32, "bus_nr"),
        PROPERTY(controller, numa_node, OPTIONAL_U32, "numa_node"),
        PROPERTY(controller, hotplug, ONOFF_BOOL, "hotplug"),
    };
    if (controller->model == CONTROLLER_MODEL_PCI_ROOT || controller->model == CONTROLLER_MODEL_PCIE_ROOT) {
        if (controller->pcihole64_set && build->x86)
            addf(build, "-global", "%s.pci-hole64-size=%lluK", build->q35 ? "q35-pcihost" : "i440FX-pcihost",
                 (unsigned long long)controller->pcihole64_kib);
        return 0;
    }
    const char *driver = pci_controller_name_name(controller->pci_model_name) ?: model_driver(controller->model);
    if (!driver)
        return no_driver(controller, err);
    json_t *device = device_new(build, driver, &controller->info, "<controller type='pci'>", err);
    if (!device)
        return -1;
    PUT_TABLE(device, controller, rows);
    device_add(build, device);
    return 0;
}

static int build_usb(struct build *build, const struct controller *controller, struct error *err)
{
    if (controller->model == CONTROLLER_MODEL_NONE)
        return 0;
    const char *driver = model_driver(controller->model ?: CONTROLLER_MODEL_PIIX3_UHCI);
    if (!driver)
        return no_driver(controller, err);
    bool companion = controller->info.master_startport.set;
    struct device_info info = controller->info;
    if (companion)
        info.alias = NULL; /* its ports belong to the master, whose id says the bus */
    json_t *device = device_new(build, driver, &info, "<controller type='usb'>", err);
    if (!device)
        return -1;
    if (companion) {
        put_string(device, "masterbus", arena_printf(build->arena, "%s.0", controller->info.alias));
        json_object_set_new(device, "firstport", json_integer(controller->info.master_startport.value));
    } else if (controller->ports.set) {
        put_number(device, "p2", controller->ports.value);
        put_number(device, "p3", controller->ports.value);
    }
    device_add(build, device);
    return 0;
}

static enum virtio_model virtio_model_of(const struct controller *controller)
{
    return controller->model == CONTROLLER_MODEL_VIRTIO_TRANSITIONAL       ? VIRTIO_MODEL_TRANSITIONAL
           : controller->model == CONTROLLER_MODEL_VIRTIO_NON_TRANSITIONAL ? VIRTIO_MODEL_NON_TRANSITIONAL
                                                                           : VIRTIO_MODEL_VIRTIO;
}

static int build_scsi(struct build *build, const struct controller *controller, struct error *err)
{
    static const struct property rows[] = {
        PROPERTY(controller, queues, U32, "num_queues"),
        PROPERTY(controller, cmd_per_lun, U32, "cmd_per_lun"),
        PROPERTY(controller, max_sectors, U32, "max_sectors"),
        PROPERTY(controller, ioeventfd, ONOFF_BOOL, "ioeventfd"),
    };
    const char *driver = model_driver(controller->model);
    bool virtio =
        controller->model == CONTROLLER_MODEL_VIRTIO_SCSI || virtio_model_of(controller) != VIRTIO_MODEL_VIRTIO;
    if (virtio)
        driver = virtio_driver(build, "virtio-scsi", virtio_model_of(controller), &controller->info);
    else if (!controller->model)
        driver = "lsi"; /* what libvirt takes for x86 */
    if (!driver)
        return no_driver(controller, err);
    json_t *device = device_new(build, driver, &controller->info, "<controller type='scsi'>", err);
    if (!device)
        return -1;
    if (virtio) {
        put_virtio_options(device, &controller->virtio);
        PUT_TABLE(device, controller, rows);
        if (controller->iothread)
            put_string(device, "iothread", arena_printf(build->arena, "iothread%u", controller->iothread));
    }
    device_add(build, device);
    return 0;
}

static int build_virtio_serial(struct build *build, const struct controller *controller, struct error *err)
{
    static const struct property rows[] = {
        PROPERTY(controller, ports, OPTIONAL_U32, "max_ports"),
        PROPERTY(controller, vectors, OPTIONAL_U32, "vectors"),
    };
    const char *driver = virtio_driver(build, "virtio-serial", virtio_model_of(controller), &controller->info);
    json_t *device = device_new(build, driver, &controller->info, "<controller type='virtio-serial'>", err);
    if (!device)
        return -1;
    put_virtio_options(device, &controller->virtio);
    PUT_TABLE(device, controller, rows);
    device_add(build, device);
    return 0;
}

static int build_plain(struct build *build, const struct controller *controller, const char *driver, struct error *err)
{
    json_t *device = device_new(build, driver, &controller->info, "<controller>", err);
    if (!device)
        return -1;
    device_add(build, device);
    return 0;
}

static int build_controller(struct build *build, const struct controller *controller, struct error *err)
{
    switch (controller->type) {
    case CONTROLLER_TYPE_USB:
        return build_usb(build, controller, err);
    case CONTROLLER_TYPE_SCSI:
        return build_scsi(build, controller, err);
    case CONTROLLER_TYPE_VIRTIO_SERIAL:
        return build_virtio_serial(build, controller, err);
    case CONTROLLER_TYPE_CCID:
        return build_plain(build, controller, "usb-ccid", err);
    case CONTROLLER_TYPE_SATA:
        return build->q35 && controller->index == 0 ? 0 : build_plain(build, controller, "ahci", err);
    case CONTROLLER_TYPE_IDE:
        if (build->x86 && !build->q35 && controller->index == 0)
            return 0; /* part of the chipset */
        return unsupported(
            err, "<controller type='ide' index='%u'>: machine '%s' has %s: use SATA, SCSI or virtio disks",
            controller->index, build->def->os.machine, build->q35 ? "no IDE" : "only one IDE controller");
    case CONTROLLER_TYPE_FDC:
        if (controller->index > 0)
            return unsupported(err, "only one floppy controller is possible");
        return build->q35 ? build_plain(build, controller, "isa-fdc", err) : 0;
    case CONTROLLER_TYPE_XENBUS:
        return no_driver(controller, err);
    default:
        return 0;
    }
}

static int build_hub(struct build *build, const struct hub *hub, struct error *err)
{
    json_t *device = device_new(build, "usb-hub", &hub->info, "<hub>", err);
    if (!device)
        return -1;
    device_add(build, device);
    return 0;
}

int build_controllers(struct build *build, struct error *err)
{
    const struct domain_def *def = build->def;
    /* a bridge before what is behind it, which always has the higher index */
    for (uint32_t index = 0; index < 256; index++) {
        const struct controller *controller = bus_controller(def, CONTROLLER_TYPE_PCI, index);
        if (controller && build_pci(build, controller, err) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < def->controllers.count; i++)
        if (def->controllers.item[i]->type != CONTROLLER_TYPE_PCI &&
            build_controller(build, def->controllers.item[i], err) < 0)
            return -1;
    for (uint32_t i = 0; i < def->hubs.count; i++) /* before what is plugged into them */
        if (build_hub(build, def->hubs.item[i], err) < 0)
            return -1;
    return 0;
}
