/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/predict.h"

enum {
    PASSES_MAX = 60,
    START_MS = 150, /* until QEMU on the destination listens and the first page is on its way */
    STOP_MS = 15,   /* devices' state, and letting the guest run */
};

struct prediction prediction_make(const struct prediction_wish *wish)
{
    struct prediction prediction = {.total_ms = START_MS};
    double left = (double)wish->memory, bandwidth = (double)wish->bandwidth_bps, dirty = (double)wish->dirty_bps;
    double limit = wish->pause_first_ms, total = 0;
    if (!wish->bandwidth_bps)
        return prediction;
    while (prediction.passes < PASSES_MAX) {
        double seconds = left / bandwidth, before = left;
        total += seconds;
        prediction.passes++;
        left = dirty * seconds;
        if (left > (double)wish->memory)
            left = (double)wish->memory;
        prediction.converges = left / bandwidth * 1000 <= limit;
        if (prediction.converges)
            break;
        if (left > before * 3 / 4 && limit < wish->pause_most_ms)
            limit = limit * 2 < wish->pause_most_ms ? limit * 2 : wish->pause_most_ms;
        else if (left > before * 99 / 100)
            break; /* no pass gets it further */
    }
    prediction.pause_ms = (uint64_t)(left / bandwidth * 1000) + STOP_MS;
    prediction.total_ms += (uint64_t)(total * 1000) + prediction.pause_ms;
    return prediction;
}
