/* SPDX-License-Identifier: Apache-2.0 */
/* How a call ended, as its caller gets it. */
#ifndef LOOM_SDK_RESULT_H
#define LOOM_SDK_RESULT_H

#include <loom/action.h>

struct loom_result {
    loom_outcome outcome;
    const char *code, *text;
    loom_bytes payload;
    void *block; /* where they lie; NULL: they are constants */
};

/* Without memory for it, the result says so. */
void result_set(loom_result *result, loom_outcome outcome, loom_str code, loom_str text, loom_bytes payload);
loom_status outcome_status(loom_outcome outcome);

#endif
