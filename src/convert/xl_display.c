/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "convert/xl_device.h"
#include "model/xml.h"

/* VNC, SDL and SPICE: for a paravirtual guest they stand in vfb = ['vnc=1,vnclisten=...'], for a full machine in
 * settings of the same names. */

#define VNC_PORT_FIRST 5900

/* One word for both places. key NULL: the settings of the file. */
struct place {
    const struct xl_read *read;
    const char *spec;
};

static const char *word_of(const struct place *place, const char *name)
{
    struct arena *arena = place->read->def->arena;
    if (place->spec)
        return xl_key(arena, place->spec, name);
    const char *value = NULL;
    return xl_text(place->read->file, name, &value, NULL) < 0 ? NULL : value;
}

static bool flag_of(const struct place *place, const char *name, bool fallback)
{
    const char *word = word_of(place, name);
    return word ? strcmp(word, "0") != 0 : fallback;
}

/* A port or display number; -1 when it is none. */
static int32_t number_of(const struct place *place, const char *name)
{
    const char *word = word_of(place, name);
    uint32_t number;
    return word && parse_u32(word, 10, &number) == 0 && number <= UINT16_MAX - VNC_PORT_FIRST ? (int32_t)number : -1;
}

static void listen_add(struct arena *arena, struct graphics *graphics, const char *address)
{
    if (!address || !*address)
        return;
    struct graphics_listen *listen = arena_struct(arena, struct graphics_listen);
    listen->type = LISTEN_TYPE_ADDRESS;
    listen->address = address;
    graphics->listen = address;
    list_add(arena, &graphics->listens, listen);
}

static void vnc_add(const struct place *place)
{
    struct arena *arena = place->read->def->arena;
    struct graphics *graphics = arena_struct(arena, struct graphics);
    const char *address = word_of(place, "vnclisten");
    int32_t display = number_of(place, "vncdisplay");
    const char *colon = address ? strrchr(address, ':') : NULL;
    uint32_t number;
    if (colon && strspn(colon + 1, "0123456789") == strlen(colon + 1) && memchr(address, ':',
                                                                                strlen(address)) == colon) {
        if (parse_u32(colon + 1, 10, &number) == 0 && number < VNC_PORT_FIRST)
            display = (int32_t)number; /* ADDRESS:DISPLAY */
        address = arena_strndup(arena, address, (size_t)(colon - address));
    }
    graphics->type = GRAPHICS_TYPE_VNC;
    bool any = display < 0 || flag_of(place, "vncunused", display < 0);
    graphics->autoport = any ? YESNO_YES : YESNO_NO;
    graphics->port = any ? -1 : VNC_PORT_FIRST + display;
    graphics->port_at_rest = graphics->port;
    graphics->keymap = word_of(place, "keymap");
    const char *password = word_of(place, "vncpasswd");
    graphics->passwd = password && *password ? password : NULL;
    listen_add(arena, graphics, address);
    list_add(arena, &place->read->def->graphics, graphics);
}

static void sdl_add(const struct place *place)
{
    struct arena *arena = place->read->def->arena;
    struct graphics *graphics = arena_struct(arena, struct graphics);
    graphics->type = GRAPHICS_TYPE_SDL;
    graphics->display = word_of(place, "display");
    graphics->xauth = word_of(place, "xauthority");
    list_add(arena, &place->read->def->graphics, graphics);
}

static void spice_add(const struct place *place)
{
    struct arena *arena = place->read->def->arena;
    struct graphics *graphics = arena_struct(arena, struct graphics);
    int32_t port = number_of(place, "spiceport"), tls_port = number_of(place, "spicetls_port");
    const char *password = word_of(place, "spicepasswd");
    graphics->type = GRAPHICS_TYPE_SPICE;
    graphics->autoport = port < 0 && tls_port < 0 ? YESNO_YES : YESNO_NO;
    graphics->port = port < 0 ? 0 : port;
    graphics->port_at_rest = graphics->port;
    graphics->tls_port = tls_port < 0 ? 0 : tls_port;
    graphics->keymap = word_of(place, "keymap");
    graphics->passwd = password && *password && !flag_of(place, "spicedisable_ticketing", false) ? password : NULL;
    if (word_of(place, "spiceagent_mouse"))
        graphics->mouse_mode = flag_of(place, "spiceagent_mouse", true) ? SPICE_MOUSE_CLIENT : SPICE_MOUSE_SERVER;
    if (word_of(place, "spice_clipboard_sharing"))
        graphics->clipboard_copypaste = flag_of(place, "spice_clipboard_sharing", false) ? YESNO_YES : YESNO_NO;
    listen_add(arena, graphics, word_of(place, "spicehost"));
    list_add(arena, &place->read->def->graphics, graphics);
}

static void video_add(const struct xl_read *read, enum video_model model, uint64_t megabytes)
{
    struct video *video = arena_struct(read->def->arena, struct video);
    video->model = model;
    video->vram = (uint32_t)megabytes * 1024;
    video->heads = 1;
    list_add(read->def->arena, &read->def->videos, video);
}

static int hvm_read(const struct xl_read *read, struct error *err)
{
    static const struct {
        const char *name;
        enum video_model model;
    } cards[] = {{"stdvga", VIDEO_MODEL_VGA}, {"cirrus", VIDEO_MODEL_CIRRUS}, {"qxl", VIDEO_MODEL_QXL},
                 {"none", VIDEO_MODEL_NONE}};
    struct place place = {.read = read};
    const char *vga = "cirrus";
    bool stdvga = false, headless = false;
    uint64_t megabytes = 0;
    if (xl_flag(read->file, "nographic", &headless, err) < 0 || xl_flag(read->file, "stdvga", &stdvga, err) < 0 ||
        xl_text(read->file, "vga", &vga, err) < 0 || xl_number(read->file, "videoram", 1024, &megabytes, err) < 0)
        return -1;
    size_t card = 0;
    while (card < COUNT(cards) && strcmp(stdvga ? "stdvga" : vga, cards[card].name) != 0)
        card++;
    if (card == COUNT(cards))
        return xl_wrong(err, xl_find(read->file, "vga")->value, "vga", "'%.40s' is not known; it is stdvga, cirrus, "
                        "qxl or none", vga);
    bool spice = flag_of(&place, "spice", false), sdl = flag_of(&place, "sdl", false);
    bool vnc = flag_of(&place, "vnc", !spice && !sdl && !headless && cards[card].model != VIDEO_MODEL_NONE);
    if (vnc)
        vnc_add(&place);
    if (sdl)
        sdl_add(&place);
    if (spice)
        spice_add(&place);
    if (vnc || sdl || spice)
        video_add(read, cards[card].model, megabytes);
    return 0;
}

/* vfb = ['type=vnc,...'] or, of xm, ['vnc=1, sdl=0, ...']; a paravirtual guest may have vnc=1 by itself, too. */
static int pv_read(const struct xl_read *read, struct error *err)
{
    const struct xl_value *value;
    for (size_t i = 0; (value = xl_item(read->file, "vfb", i)); i++) {
        if (value->kind != XL_ATOM)
            return xl_wrong(err, value, "vfb", "a display is described by a string, not by a list");
        struct place place = {.read = read, .spec = value->text};
        const char *type = word_of(&place, "type");
        bool sdl = string_equal(type, "sdl") || (!type && flag_of(&place, "sdl", false));
        if (string_equal(type, "vnc") || (!type && flag_of(&place, "vnc", !sdl)))
            vnc_add(&place);
        if (sdl)
            sdl_add(&place);
    }
    struct place place = {.read = read};
    if (!read->def->graphics.count && flag_of(&place, "vnc", false))
        vnc_add(&place);
    if (read->def->graphics.count)
        video_add(read, VIDEO_MODEL_XEN, 4);
    for (enum input_type type = INPUT_TYPE_MOUSE; read->def->graphics.count && type <= INPUT_TYPE_KEYBOARD; type++) {
        if (type == INPUT_TYPE_TABLET)
            continue;
        struct input *input = arena_struct(read->def->arena, struct input);
        input->type = type;
        input->bus = INPUT_BUS_XEN;
        list_add(read->def->arena, &read->def->inputs, input);
    }
    return 0;
}

int xl_displays_read(const struct xl_read *read, struct error *err)
{
    return read->hvm ? hvm_read(read, err) : pv_read(read, err);
}
