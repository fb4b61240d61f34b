/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "qemu/command_parts.h"

#define VNC_BASE 5900

/* --- graphics --- */

static const struct graphics_listen *first_listen(const struct graphics *graphics)
{
    return graphics->listens.count ? graphics->listens.item[0] : NULL;
}

static const char *socket_path(const struct graphics *graphics)
{
    const struct graphics_listen *listen = first_listen(graphics);
    return listen && listen->type == LISTEN_TYPE_SOCKET ? listen->socket ?: graphics->socket : graphics->socket;
}

/* IPv6 in brackets, because a port follows. */
static const char *listen_address(struct build *build, const struct graphics *graphics)
{
    const struct graphics_listen *listen = first_listen(graphics);
    const char *address = (listen ? listen->address : NULL) ?: graphics->listen ?: "127.0.0.1";
    return strchr(address, ':') ? arena_printf(build->arena, "[%s]", address) : address;
}

static const struct audio *audio_for(const struct domain_def *def, uint32_t id)
{
    for (uint32_t i = 0; i < def->audios.count; i++)
        if (!id || def->audios.item[i]->id == id)
            return def->audios.item[i];
    return NULL;
}

static int build_vnc(struct build *build, const struct graphics *graphics, struct error *err)
{
    scoped_text struct text vnc = {0};
    const struct graphics_listen *listen = first_listen(graphics);
    const struct audio *audio = audio_for(build->def, graphics->audio_id);
    if (socket_path(graphics))
        text_printf(&vnc, "vnc=unix:%s", quoted(build, socket_path(graphics)));
    else if (listen && listen->type == LISTEN_TYPE_NONE)
        text_append(&vnc, "none");
    else if (graphics->port > 0 && graphics->port < VNC_BASE)
        return unsupported(err, "<graphics type='vnc' port='%d'>: the port must be at least %d", graphics->port,
                           VNC_BASE);
    else
        text_printf(&vnc, "%s:%d", listen_address(build, graphics), graphics->port > 0 ? graphics->port - VNC_BASE : 0);
    if (graphics->websocket > 0)
        text_printf(&vnc, ",websocket=%d", graphics->websocket);
    if (graphics->share_policy)
        text_printf(&vnc, ",share=%s", share_policy_name(graphics->share_policy));
    if (graphics->passwd)
        text_append(&vnc, ",password=on");
    if (graphics->power_control)
        text_printf(&vnc, ",power-control=%s", graphics->power_control == YESNO_YES ? "on" : "off");
    if (audio)
        text_printf(&vnc, ",audiodev=audio%u", audio->id);
    add(build, "-vnc", text_string(&vnc));
    if (graphics->keymap)
        add(build, "-k", graphics->keymap);
    return 0;
}

static void append_word(struct text *out, const char *key, const char *word)
{
    if (word)
        text_printf(out, ",%s=%s", key, word);
}

static void append_spice_channels(struct text *spice, const struct graphics *graphics)
{
    for (uint32_t i = 0; i < graphics->channels.count; i++) {
        const struct spice_channel *channel = graphics->channels.item[i];
        if (channel->mode == SPICE_CHANNEL_MODE_SECURE || channel->mode == SPICE_CHANNEL_MODE_INSECURE)
            text_printf(spice, ",%s-channel=%s", channel->mode == SPICE_CHANNEL_MODE_SECURE ? "tls" : "plaintext",
                        spice_channel_name_name(channel->name));
    }
}

static int build_spice(struct build *build, const struct graphics *graphics, struct error *err)
{
    scoped_text struct text spice = {0};
    if (build->caps && !qemu_caps_has_type(build->caps, "chardev-spicevmc"))
        return unsupported(err, "<graphics type='spice'> needs SPICE, which %s lacks: install package "
                                "qemu-system-modules-spice or use type='vnc'", build->caps->binary);
    if (graphics->tls_port > 0 || graphics->default_mode == SPICE_CHANNEL_MODE_SECURE)
        return unsupported(err,
                           "<graphics type='spice'> with TLS is not supported: remove tlsPort and secure channels");
    if (socket_path(graphics))
        text_printf(&spice, "unix=on,addr=%s", quoted(build, socket_path(graphics)));
    else
        text_printf(&spice, "port=%d,addr=%s", graphics->port > 0 ? graphics->port : VNC_BASE + 1,
                    listen_address(build, graphics));
    if (!graphics->passwd)
        text_append(&spice, ",disable-ticketing=on");
    append_spice_channels(&spice, graphics);
    append_word(&spice, "image-compression", spice_image_name(graphics->image_compression));
    append_word(&spice, "jpeg-wan-compression", spice_wan_name(graphics->jpeg_compression));
    append_word(&spice, "zlib-glz-wan-compression", spice_wan_name(graphics->zlib_compression));
    append_word(&spice, "playback-compression", onoff_name(graphics->playback_compression));
    append_word(&spice, "streaming-video", spice_streaming_name(graphics->streaming_mode));
    if (graphics->mouse_mode)
        append_word(&spice, "agent-mouse", graphics->mouse_mode == SPICE_MOUSE_SERVER ? "off" : "on");
    if (graphics->clipboard_copypaste == YESNO_NO)
        text_append(&spice, ",disable-copy-paste=on");
    if (graphics->filetransfer_enable == YESNO_NO)
        text_append(&spice, ",disable-agent-file-xfer=on");
    if (graphics->gl_enable == YESNO_YES)
        text_append(&spice, ",gl=on");
    append_word(&spice, "rendernode", graphics->gl_enable == YESNO_YES ? graphics->rendernode : NULL);
    text_append(&spice, ",seamless-migration=on");
    add(build, "-spice", text_string(&spice));
    if (graphics->keymap)
        add(build, "-k", graphics->keymap);
    return 0;
}

static int build_graphics(struct build *build, const struct graphics *graphics, struct error *err)
{
    switch (graphics->type) {
    case GRAPHICS_TYPE_VNC:
        return build_vnc(build, graphics, err);
    case GRAPHICS_TYPE_SPICE:
        return build_spice(build, graphics, err);
    case GRAPHICS_TYPE_EGL_HEADLESS:
        addf(build, "-display", "egl-headless%s%s", graphics->rendernode ? ",rendernode=" : "",
             quoted(build, graphics->rendernode) ?: "");
        return 0;
    case GRAPHICS_TYPE_DBUS:
        if (graphics->dbus_p2p == YESNO_YES)
            add(build, "-display", "dbus,p2p=on");
        else if (graphics->dbus_address)
            addf(build, "-display", "dbus,addr=%s", quoted(build, graphics->dbus_address));
        else
            return unsupported(err, "<graphics type='dbus'> needs an address or p2p='yes'");
        return 0;
    default:
        return unsupported(err, "<graphics type='%s'> is not supported: use vnc or spice",
                           graphics_type_name(graphics->type) ?: "");
    }
}

/* --- video --- */

static const char *video_driver(const struct build *build, const struct video *video, bool primary)
{
    switch (video->model) {
    case VIDEO_MODEL_VGA:
        return primary ? "VGA" : "secondary-vga";
    case VIDEO_MODEL_CIRRUS:
        return "cirrus-vga";
    case VIDEO_MODEL_VMVGA:
        return "vmware-svga";
    case VIDEO_MODEL_QXL:
        return primary ? "qxl-vga" : "qxl";
    case VIDEO_MODEL_VIRTIO:
        if (address_is(&video->info, ADDRESS_TYPE_CCW))
            return "virtio-gpu-ccw";
        if (video->accel3d == YESNO_YES)
            return primary && build->x86 ? "virtio-vga-gl" : "virtio-gpu-gl-pci";
        return primary && build->x86 ? "virtio-vga" : "virtio-gpu-pci";
    case VIDEO_MODEL_BOCHS:
        return "bochs-display";
    case VIDEO_MODEL_RAMFB:
        return "ramfb";
    default:
        return NULL;
    }
}

static int build_video(struct build *build, const struct video *video, bool primary, struct error *err)
{
    if (video->model == VIDEO_MODEL_NONE)
        return 0;
    const char *driver = video_driver(build, video, primary);
    if (!driver)
        return unsupported(err,
                           "<video><model type='%s'> is not supported: use virtio, vga, qxl, cirrus, bochs or none",
                           video_model_name(video->model) ?: "");
    json_t *device = device_new(build, driver, &video->info, "<video>", err);
    if (!device)
        return -1;
    if (video->model == VIDEO_MODEL_VIRTIO || video->model == VIDEO_MODEL_QXL)
        put_number(device, "max_outputs", video->heads);
    if (video->model == VIDEO_MODEL_QXL) {
        put_number(device, "ram_size", (uint64_t)video->ram * 1024);
        put_number(device, "vram_size", (uint64_t)video->vram * 1024);
        json_object_set_new(device, "vram64_size_mb", json_integer(video->vram64 / 1024));
        put_number(device, "vgamem_mb", video->vgamem / 1024);
    } else if (video->model == VIDEO_MODEL_VGA || video->model == VIDEO_MODEL_VMVGA) {
        put_number(device, "vgamem_mb", video->vram / 1024);
    } else if (video->model == VIDEO_MODEL_BOCHS) {
        put_number(device, "vgamem", (uint64_t)video->vram * 1024);
    } else if (video->model == VIDEO_MODEL_VIRTIO) {
        put_virtio_options(device, &video->virtio);
        if (video->blob)
            put_bool(device, "blob", video->blob == ONOFF_ON);
    }
    put_number(device, "xres", video->resolution_x);
    put_number(device, "yres", video->resolution_y);
    device_add(build, device);
    return 0;
}

static int build_videos(struct build *build, struct error *err)
{
    const struct domain_def *def = build->def;
    uint32_t primary = 0;
    for (uint32_t i = 0; i < def->videos.count; i++)
        if (def->videos.item[i]->primary == YESNO_YES)
            primary = i;
    for (uint32_t i = 0; i < def->videos.count; i++)
        if (build_video(build, def->videos.item[i], i == primary, err) < 0)
            return -1;
    return 0;
}

/* --- sound --- */

static int build_audio(struct build *build, const struct audio *audio, struct error *err)
{
    json_t *backend = json_object();
    const char *driver = audio->type == AUDIO_TYPE_PULSEAUDIO ? "pa"
                         : audio->type == AUDIO_TYPE_FILE     ? "wav"
                                                              : audio_type_name(audio->type) ?: "none";
    put_string(backend, "id", arena_printf(build->arena, "audio%u", audio->id));
    put_string(backend, "driver", driver);
    put_number(backend, "timer-period", audio->timer_period);
    put_string(backend, "server", audio->server_name);
    put_string(backend, "path", audio->path);
    add_json(build, "-audiodev", backend);
    return 0;
}

static void build_codecs(struct build *build, const struct sound *sound, const char *audio)
{
    for (uint32_t i = 0; i < (sound->codecs.count ?: 1); i++) {
        const char *type = sound->codecs.count ? sound->codecs.item[i]->type : "duplex";
        json_t *codec = json_object();
        put_string(codec, "driver", arena_printf(build->arena, "hda-%s", type));
        put_string(codec, "id", arena_printf(build->arena, "%s-codec%u", sound->info.alias, i));
        put_string(codec, "bus", arena_printf(build->arena, "%s.0", sound->info.alias));
        json_object_set_new(codec, "cad", json_integer(i));
        put_string(codec, "audiodev", audio);
        device_add(build, codec);
    }
}

static int build_sound(struct build *build, const struct sound *sound, struct error *err)
{
    static const char *const drivers[] = {
        [SOUND_MODEL_SB16] = "sb16", [SOUND_MODEL_ES1370] = "ES1370",       [SOUND_MODEL_AC97] = "AC97",
        [SOUND_MODEL_ICH6] = "intel-hda", [SOUND_MODEL_ICH9] = "ich9-intel-hda", [SOUND_MODEL_USB] = "usb-audio",
    };
    const struct audio *backend = audio_for(build->def, sound->audio_id);
    const char *audio = backend ? arena_printf(build->arena, "audio%u", backend->id) : NULL;
    if (sound->model == SOUND_MODEL_PCSPK) {
        if (audio)
            addf(build, "-machine", "pcspk-audiodev=%s", audio);
        return 0;
    }
    const char *driver = sound->model < COUNT(drivers) ? drivers[sound->model] : NULL;
    if (!driver)
        return unsupported(err, "<sound model='%s'> is not supported: use ich9, ich6, ac97, es1370, sb16 or usb",
                           sound_model_name(sound->model) ?: "");
    json_t *device = device_new(build, driver, &sound->info, "<sound>", err);
    if (!device)
        return -1;
    bool hda = sound->model == SOUND_MODEL_ICH6 || sound->model == SOUND_MODEL_ICH9;
    if (!hda)
        put_string(device, "audiodev", audio);
    if (sound->multichannel)
        put_bool(device, "multi", sound->multichannel == YESNO_YES);
    device_add(build, device);
    if (hda)
        build_codecs(build, sound, audio);
    return 0;
}

/* --- input --- */

static int build_evdev(struct build *build, const struct input *input)
{
    json_t *object = json_object();
    put_string(object, "qom-type", "input-linux");
    put_string(object, "id", input->info.alias);
    put_string(object, "evdev", input->source_dev);
    put_onoff_bool(object, "repeat", input->repeat);
    if (input->grab)
        put_bool(object, "grab_all", true);
    put_string(object, "grab-toggle", input->grab_toggle);
    add_json(build, "-object", object);
    return 0;
}

static int build_input(struct build *build, const struct input *input, struct error *err)
{
    static const char *const usb[] = {
        [INPUT_TYPE_MOUSE] = "usb-mouse", [INPUT_TYPE_TABLET] = "usb-tablet", [INPUT_TYPE_KEYBOARD] = "usb-kbd"};
    static const char *const virtio[] = {
        [INPUT_TYPE_MOUSE] = "virtio-mouse",       [INPUT_TYPE_TABLET] = "virtio-tablet",
        [INPUT_TYPE_KEYBOARD] = "virtio-keyboard", [INPUT_TYPE_PASSTHROUGH] = "virtio-input-host"};
    if (input->type == INPUT_TYPE_EVDEV)
        return build_evdev(build, input);
    if (input->bus == INPUT_BUS_PS2)
        return 0; /* part of the board */
    const char *driver = NULL;
    if (input->bus == INPUT_BUS_USB && input->type < COUNT(usb))
        driver = usb[input->type];
    else if (input->bus == INPUT_BUS_VIRTIO && input->type < COUNT(virtio) && virtio[input->type])
        driver = virtio_driver(build, virtio[input->type], input->model, &input->info);
    if (!driver)
        return unsupported(err, "<input type='%s' bus='%s'> is not supported", input_type_name(input->type) ?: "",
                           input_bus_name(input->bus) ?: "");
    json_t *device = device_new(build, driver, &input->info, "<input>", err);
    if (!device)
        return -1;
    put_virtio_options(device, &input->virtio);
    put_string(device, "evdev", input->source_evdev);
    device_add(build, device);
    return 0;
}

int build_display(struct build *build, struct error *err)
{
    const struct domain_def *def = build->def;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < def->inputs.count; i++)
        status = build_input(build, def->inputs.item[i], err);
    for (uint32_t i = 0; status == 0 && i < def->audios.count; i++)
        status = build_audio(build, def->audios.item[i], err);
    for (uint32_t i = 0; status == 0 && i < def->graphics.count; i++)
        status = build_graphics(build, def->graphics.item[i], err);
    if (!def->graphics.count)
        add(build, "-display", "none");
    if (status == 0)
        status = build_videos(build, err);
    for (uint32_t i = 0; status == 0 && i < def->sounds.count; i++)
        status = build_sound(build, def->sounds.item[i], err);
    return status;
}
