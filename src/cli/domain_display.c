/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cli/domain.h"
#include "cli/keycodes.h"
#include "rpc/uri.h"

#define SCREENSHOT_TIMEOUT_MS 60000

static int run_inject_nmi(struct invocation *in, struct error *err)
{
    struct domain_inject_nmi_args args = {0};
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_inject_nmi(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot inject an NMI into domain '%s'", args.dom.name);
    return 0;
}

static int run_send_key(struct invocation *in, struct error *err)
{
    uint32_t codes[16];
    struct domain_send_key_args args = {.keycodes = codes};
    uint64_t holdtime = 0;
    const char *set_name = option_text(in, "codeset");
    int set = 0;
    if (set_name && strcmp(set_name, "rfb") == 0)
        set_name = "qnum"; /* its older name */
    if (set_name && (set = word_index("code set", set_name, keycode_sets, err)) < 0)
        return -1;
    if (option_u64(in, "holdtime", UINT32_MAX, &holdtime, err) < 0)
        return -1;
    if (in->rest_count > COUNT(codes))
        return error_set(err, ERR_INVALID_ARG, "send-key takes at most %zu keys, not %zu", COUNT(codes),
                         in->rest_count);
    for (size_t i = 0; i < in->rest_count; i++)
        if (keycode_parse(set, in->rest[i], &codes[args.keycodes_count++], err) < 0)
            return -1;
    args.codeset = (uint32_t)set;
    args.holdtime = (uint32_t)holdtime;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_send_key(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot send keys to domain '%s'", args.dom.name);
    return 0;
}

static const char *picture_suffix(const char *mime)
{
    static const char *const suffixes[][2] = {{"image/x-portable-pixmap", ".ppm"}, {"image/png", ".png"}};
    for (size_t i = 0; mime && i < COUNT(suffixes); i++)
        if (strcmp(mime, suffixes[i][0]) == 0)
            return suffixes[i][1];
    return "";
}

static char *picture_name(struct invocation *in, const struct wire_domain *dom, const char *mime)
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(stamp, sizeof stamp, "%Y-%m-%d-%H:%M:%S", localtime_r(&now, &tm));
    char *name = arena_printf(in->arena, "%s-%s%s", dom->name, stamp, picture_suffix(mime));
    for (char *c = name; *c; c++)
        *c = *c == '/' ? '_' : *c;
    return name;
}

static int save_stream(struct stream *stream, int fd, struct error *err)
{
    deadline limit = deadline_ms(SCREENSHOT_TIMEOUT_MS);
    char buffer[65536];
    for (;;) {
        ssize_t got = stream_receive(stream, buffer, sizeof buffer, NULL, limit, err);
        if (got < 0)
            return -1;
        if (got == 0)
            return stream_finish(stream, limit, err);
        for (ssize_t done = 0; done < got;) {
            ssize_t wrote = write(fd, buffer + done, (size_t)(got - done));
            if (wrote < 0 && errno != EINTR)
                return error_system(err, errno, "cannot write the picture");
            done += wrote > 0 ? wrote : 0;
        }
    }
}

static int run_screenshot(struct invocation *in, struct error *err)
{
    struct domain_screenshot_args args = {0};
    struct domain_screenshot_ret ret;
    uint64_t screen = 0;
    if (option_u64(in, "screen", UINT32_MAX, &screen, err) < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    args.screen = (uint32_t)screen;
    struct stream *stream = NULL;
    if (remote_domain_screenshot(shell_client(in), &args, in->arena, &ret, &stream, err) < 0)
        return command_failed(err, "cannot take a screenshot of domain '%s'", args.dom.name);
    const char *file = option_text(in, "file");
    if (!file)
        file = picture_name(in, &args.dom, ret.mime);
    scoped_fd int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int result = fd < 0 ? error_system(err, errno, "cannot make the file '%s'", file) : save_stream(stream, fd, err);
    stream_free(stream);
    if (result < 0) {
        if (fd >= 0)
            unlink(file);
        return command_failed(err, "no screenshot of domain '%s'", args.dom.name);
    }
    output_note(in, "Screenshot saved to %s, with type of %s\n", file, ret.mime ? ret.mime : "unknown");
    return 0;
}

/* Where a graphics device listens as a client here reaches it. */
static const char *display_host(struct invocation *in, struct document *document, xmlNode *graphics)
{
    const char *listen = document_string(in->arena, document, graphics, "listen[@type='address']/@address|@listen");
    bool everywhere = !listen || !*listen || strcmp(listen, "0.0.0.0") == 0 || strcmp(listen, "::") == 0;
    if (!everywhere)
        return strchr(listen, ':') ? arena_printf(in->arena, "[%s]", listen) : listen;
    struct error ignored = {0};
    struct uri *uri = uri_parse(in->arena, in->shell->connection->uri, &ignored);
    return uri && uri->host ? uri->host : "localhost";
}

static const char *display_uri(struct invocation *in, struct document *document, xmlNode *graphics)
{
    const char *type = document_string(in->arena, document, graphics, "@type") ?: "";
    const char *socket = document_string(in->arena, document, graphics, "listen[@type='socket']/@socket|@socket");
    const char *password = option_given(in, "include-password")
                               ? document_string(in->arena, document, graphics, "@passwd") : NULL;
    const char *secret = password && strcmp(type, "spice") != 0 ? arena_printf(in->arena, ":%s@", password) : "";
    int32_t port = 0, tls_port = 0;
    if (socket)
        return arena_printf(in->arena, "%s+unix://%s%s", type, secret, socket);
    parse_i32(document_string(in->arena, document, graphics, "@port") ?: "0", 10, &port);
    parse_i32(document_string(in->arena, document, graphics, "@tlsPort") ?: "0", 10, &tls_port);
    if (port <= 0 && tls_port <= 0)
        return NULL; /* not listening yet */
    scoped_text struct text uri = {0};
    text_printf(&uri, "%s://%s%s", type, secret, display_host(in, document, graphics));
    if (port > 0)
        text_printf(&uri, ":%d", strcmp(type, "vnc") == 0 ? port - 5900 : port);
    const char *separator = "?";
    if (tls_port > 0) {
        text_printf(&uri, "?tls-port=%d", tls_port);
        separator = "&";
    }
    if (password && !*secret)
        text_printf(&uri, "%spassword=%s", separator, password);
    return arena_strdup(in->arena, text_string(&uri));
}

static int run_domdisplay(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    const char *type = option_text(in, "type");
    if (domain_get(in, &dom, err) < 0)
        return -1;
    if (dom.id < 0)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' does not run", dom.name);
    scoped_document struct document *document =
        domain_document(in, &dom, option_given(in, "include-password") ? DOMAIN_XML_SECURE : 0, err);
    if (!document)
        return -1;
    xmlXPathObject *found = document_query(document, "/domain/devices/graphics");
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    size_t shown = 0;
    for (int i = 0; found && found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        xmlNode *graphics = found->nodesetval->nodeTab[i];
        const char *uri = display_uri(in, document, graphics);
        if (!uri || (type && !string_equal(type, document_string(in->arena, document, graphics, "@type"))))
            continue;
        if (!shown++ || option_given(in, "all"))
            listing_word(&listing, "uri", uri);
    }
    xmlXPathFreeObject(found);
    if (!shown)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' has no graphical display%s%s", dom.name,
                         type ? " of type " : "", type ? type : "");
    listing_end(&listing);
    return 0;
}

static int run_vncdisplay(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    scoped_document struct document *document = domain_get_document(in, &dom, 0, err);
    if (!document)
        return -1;
    if (dom.id < 0)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' does not run", dom.name);
    int32_t port = 0;
    const char *listen = document_string(in->arena, document, NULL, "/domain/devices/graphics[@type='vnc']/@listen");
    parse_i32(document_string(in->arena, document, NULL, "/domain/devices/graphics[@type='vnc']/@port") ?: "0", 10,
              &port);
    if (port < 5900)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' has no VNC display that listens on a port", dom.name);
    bool everywhere = !listen || strcmp(listen, "0.0.0.0") == 0;
    bool brackets = !everywhere && strchr(listen, ':');
    output_string(in, "display", arena_printf(in->arena, "%s%s%s:%d", brackets ? "[" : "", everywhere ? "" : listen,
                                              brackets ? "]" : "", port - 5900));
    return 0;
}

static int run_ttyconsole(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    scoped_document struct document *document = domain_get_document(in, &dom, 0, err);
    if (!document)
        return -1;
    const char *tty = document_string(in->arena, document, NULL, "/domain/devices/console/@tty");
    if (!tty)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' has no console on a terminal of the host", dom.name);
    output_string(in, "tty", tty);
    return 0;
}

static const struct command_option active_options[] = {DOMAIN_ACTIVE_OPTION, {0}};

static void complete_codesets(struct completion *completion)
{
    for (const char *const *set = keycode_sets; *set; set++)
        completion->offer(completion, *set);
}

static const struct command_option send_key_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"codeset", OPTION_STRING, OPTION_NAMED, "what the numbers mean; linux is usual", complete_codesets},
    {"holdtime", OPTION_NUMBER, OPTION_NAMED, "milliseconds for which the keys are held"},
    {"keycode", OPTION_REST, OPTION_REQUIRED, "keys that are pressed together", complete_keycodes},
    {0},
};

static const struct command_option screenshot_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"file", OPTION_STRING, 0, "where to; without it a name is made up"},
    {"screen", OPTION_NUMBER, 0, "number of the screen"},
    {0},
};

static const struct command_option domdisplay_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"include-password", OPTION_BOOL, 0, "put the password into the URI"},
    {"type", OPTION_STRING, 0, "only displays of this type: vnc, spice, rdp"},
    {"all", OPTION_BOOL, 0, "every display, not the first one only"},
    {0},
};

const struct command display_commands[] = {
    {"domdisplay", "domain", "URI of a domain's graphical display", NULL, domdisplay_options, run_domdisplay},
    {"inject-nmi", "domain", "send a non-maskable interrupt to the guest", NULL, active_options, run_inject_nmi},
    {"screenshot", "domain", "save what a domain's screen shows", NULL, screenshot_options, run_screenshot},
    {"send-key", "domain", "press keys of a domain's keyboard", NULL, send_key_options, run_send_key},
    {"ttyconsole", "domain", "terminal on the host that is a domain's console", NULL, active_options, run_ttyconsole},
    {"vncdisplay", "domain", "address of a domain's VNC display", NULL, active_options, run_vncdisplay},
    {0},
};
