/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

#include "rpc/image_verbs.h"
#include "storage/image_work.h"

/* Work on disk images, for `godwit image`. */

struct running_image {
    struct list link; /* in daemon->image_works */
    unsigned char id[UUID_SIZE];
    struct server_client *client; /* compared, never used: it may be gone */
    struct image_work work;
};

static void running_image_finish(struct running_image *running)
{
    list_remove(&running->link);
}
#define scoped_running_image scope_cleanup(running_image_finish)

int handle_godwit_image_run(struct call *call, const struct godwit_image_run_args *args,
                            struct godwit_image_run_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, IMAGE_RUN_PLAN | IMAGE_RUN_JSON, err) < 0)
        return -1;
    struct image_option *options = arena_new_array(call->arena, args->options_count, struct image_option);
    for (uint32_t i = 0; i < args->options_count; i++)
        options[i] = (struct image_option){args->options[i].name, args->options[i].value};
    scoped_running_image struct running_image running = {
        .client = call->client,
        .work = {.storage = call_daemon(call)->storage,
                 .verb = args->verb,
                 .operands = (const char *const *)args->operands,
                 .operand_count = args->operands_count,
                 .options = options,
                 .option_count = args->options_count,
                 .flags = args->flags,
                 .client = call_client(call)},
    };
    memcpy(running.id, args->id, UUID_SIZE);
    list_append(&call_daemon(call)->image_works, &running.link);
    if (image_work_run(&running.work, call->arena, err) < 0)
        return -1;
    *ret = (struct godwit_image_run_ret){.plan = running.work.plan ? running.work.plan : "",
                                  .changes = running.work.changes,
                                  .output = running.work.output,
                                  .status = running.work.status};
    return 0;
}

int handle_godwit_image_progress(struct call *call, const struct godwit_image_progress_args *args,
                                 struct godwit_image_progress_ret *ret, struct error *err)
{
    list_for_each (struct running_image, running, &call_daemon(call)->image_works, link)
        if (running->client == call->client && memcmp(running->id, args->id, UUID_SIZE) == 0) {
            ret->percent = running->work.percent;
            return 0;
        }
    return error_set(err, ERR_OPERATION_INVALID, "no work on images of that id goes on");
}
