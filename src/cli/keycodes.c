/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/keycodes.h"

#include <linux/input-event-codes.h>
#include <string.h>

#include "base/text.h"

const char *const keycode_sets[] = {"linux", "xt", "atset1", "atset2", "atset3", "os_x", "xt_kbd", "usb", "win32",
                                    "qnum",
                                    NULL};

#define KEY(name) {"KEY_" #name, KEY_##name}
static const struct {
    const char *name;
    uint32_t code;
} linux_keys[] = {
    KEY(ESC), KEY(1), KEY(2), KEY(3), KEY(4), KEY(5), KEY(6), KEY(7), KEY(8), KEY(9), KEY(0), KEY(MINUS), KEY(EQUAL),
    KEY(BACKSPACE), KEY(TAB), KEY(Q), KEY(W), KEY(E), KEY(R), KEY(T), KEY(Y), KEY(U), KEY(I), KEY(O), KEY(P),
    KEY(LEFTBRACE), KEY(RIGHTBRACE), KEY(ENTER), KEY(LEFTCTRL), KEY(A), KEY(S), KEY(D), KEY(F), KEY(G), KEY(H),
    KEY(J), KEY(K), KEY(L), KEY(SEMICOLON), KEY(APOSTROPHE), KEY(GRAVE), KEY(LEFTSHIFT), KEY(BACKSLASH), KEY(Z),
    KEY(X), KEY(C), KEY(V), KEY(B), KEY(N), KEY(M), KEY(COMMA), KEY(DOT), KEY(SLASH), KEY(RIGHTSHIFT),
    KEY(KPASTERISK), KEY(LEFTALT), KEY(SPACE), KEY(CAPSLOCK), KEY(F1), KEY(F2), KEY(F3), KEY(F4), KEY(F5), KEY(F6),
    KEY(F7), KEY(F8), KEY(F9), KEY(F10), KEY(NUMLOCK), KEY(SCROLLLOCK), KEY(KP7), KEY(KP8), KEY(KP9), KEY(KPMINUS),
    KEY(KP4), KEY(KP5), KEY(KP6), KEY(KPPLUS), KEY(KP1), KEY(KP2), KEY(KP3), KEY(KP0), KEY(KPDOT),
    KEY(ZENKAKUHANKAKU), KEY(102ND), KEY(F11), KEY(F12), KEY(RO), KEY(KATAKANA), KEY(HIRAGANA), KEY(HENKAN),
    KEY(KATAKANAHIRAGANA), KEY(MUHENKAN), KEY(KPJPCOMMA), KEY(KPENTER), KEY(RIGHTCTRL), KEY(KPSLASH), KEY(SYSRQ),
    KEY(RIGHTALT), KEY(LINEFEED), KEY(HOME), KEY(UP), KEY(PAGEUP), KEY(LEFT), KEY(RIGHT), KEY(END), KEY(DOWN),
    KEY(PAGEDOWN), KEY(INSERT), KEY(DELETE), KEY(MACRO), KEY(MUTE), KEY(VOLUMEDOWN), KEY(VOLUMEUP), KEY(POWER),
    KEY(KPEQUAL), KEY(KPPLUSMINUS), KEY(PAUSE), KEY(SCALE), KEY(KPCOMMA), KEY(HANGEUL), KEY(HANJA), KEY(YEN),
    KEY(LEFTMETA), KEY(RIGHTMETA), KEY(COMPOSE), KEY(STOP), KEY(AGAIN), KEY(PROPS), KEY(UNDO), KEY(FRONT), KEY(COPY),
    KEY(OPEN), KEY(PASTE), KEY(FIND), KEY(CUT), KEY(HELP), KEY(MENU), KEY(CALC), KEY(SETUP), KEY(SLEEP), KEY(WAKEUP),
    KEY(FILE), KEY(SENDFILE), KEY(DELETEFILE), KEY(XFER), KEY(PROG1), KEY(PROG2), KEY(WWW), KEY(MSDOS), KEY(COFFEE),
    KEY(ROTATE_DISPLAY), KEY(CYCLEWINDOWS), KEY(MAIL), KEY(BOOKMARKS), KEY(COMPUTER), KEY(BACK), KEY(FORWARD),
    KEY(CLOSECD), KEY(EJECTCD), KEY(EJECTCLOSECD), KEY(NEXTSONG), KEY(PLAYPAUSE), KEY(PREVIOUSSONG), KEY(STOPCD),
    KEY(RECORD), KEY(REWIND), KEY(PHONE), KEY(ISO), KEY(CONFIG), KEY(HOMEPAGE), KEY(REFRESH), KEY(EXIT), KEY(MOVE),
    KEY(EDIT), KEY(SCROLLUP), KEY(SCROLLDOWN), KEY(KPLEFTPAREN), KEY(KPRIGHTPAREN), KEY(NEW), KEY(REDO), KEY(F13),
    KEY(F14), KEY(F15), KEY(F16), KEY(F17), KEY(F18), KEY(F19), KEY(F20), KEY(F21), KEY(F22), KEY(F23), KEY(F24),
    KEY(PLAYCD), KEY(PAUSECD), KEY(PROG3), KEY(PROG4), KEY(ALL_APPLICATIONS), KEY(SUSPEND), KEY(CLOSE), KEY(PLAY),
    KEY(FASTFORWARD), KEY(BASSBOOST), KEY(PRINT), KEY(HP), KEY(CAMERA), KEY(SOUND), KEY(QUESTION), KEY(EMAIL),
    KEY(CHAT), KEY(SEARCH), KEY(CONNECT), KEY(FINANCE), KEY(SPORT), KEY(SHOP), KEY(ALTERASE), KEY(CANCEL),
    KEY(BRIGHTNESSDOWN), KEY(BRIGHTNESSUP), KEY(MEDIA), KEY(SWITCHVIDEOMODE), KEY(KBDILLUMTOGGLE), KEY(KBDILLUMDOWN),
    KEY(KBDILLUMUP), KEY(SEND), KEY(REPLY), KEY(FORWARDMAIL), KEY(SAVE), KEY(DOCUMENTS), KEY(BATTERY), KEY(BLUETOOTH),
    KEY(WLAN), KEY(UWB), KEY(UNKNOWN), KEY(VIDEO_NEXT), KEY(VIDEO_PREV), KEY(BRIGHTNESS_CYCLE), KEY(BRIGHTNESS_AUTO),
    KEY(DISPLAY_OFF), KEY(WWAN), KEY(RFKILL), KEY(MICMUTE),
};

int keycode_parse(int set, const char *word, uint32_t *code, struct error *err)
{
    if (parse_u32(word, 0, code) == 0 && *code <= UINT16_MAX)
        return 0;
    for (size_t i = 0; set == 0 && i < COUNT(linux_keys); i++)
        if (strcmp(linux_keys[i].name, word) == 0) {
            *code = linux_keys[i].code;
            return 0;
        }
    return error_set(err, ERR_INVALID_ARG, "'%s' is no key of the code set '%s'; give a number up to 65535%s", word,
                     keycode_sets[set], set == 0 ? " or a name like KEY_ENTER" : "");
}

void complete_keycodes(struct completion *completion)
{
    for (size_t i = 0; i < COUNT(linux_keys); i++)
        completion->offer(completion, linux_keys[i].name);
}
