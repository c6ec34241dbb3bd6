/* SPDX-License-Identifier: Apache-2.0 */
/* Work that is tried again, with a pause between. */
#include <loom/workflow.h>

#include "base/backoff.h"
#include "base/last_error.h"

#include <errno.h>
#include <time.h>

#define MAX_ATTEMPTS_DEFAULT 3u
#define FIRST_DELAY_MS_DEFAULT 100u
#define MAX_DELAY_MS_DEFAULT 10000u

static void sleep_ms(void *user, uint32_t delay_ms)
{
    (void)user;
    struct timespec left = {.tv_sec = (time_t)(delay_ms / 1000u), .tv_nsec = (long)(delay_ms % 1000u) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* These come out the same the next time. */
static bool may_help(void *user, loom_status outcome)
{
    (void)user;
    return outcome != LOOM_EINVAL && outcome != LOOM_EDENIED && outcome != LOOM_ECANCELED;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

static loom_retry_policy with_defaults(const loom_retry_policy *policy)
{
    loom_retry_policy p = policy != NULL ? *policy : (loom_retry_policy){0};
    p.max_attempts = or_default(p.max_attempts, MAX_ATTEMPTS_DEFAULT);
    p.first_delay_ms = or_default(p.first_delay_ms, FIRST_DELAY_MS_DEFAULT);
    p.max_delay_ms = or_default(p.max_delay_ms, MAX_DELAY_MS_DEFAULT);
    p.may_retry = p.may_retry != NULL ? p.may_retry : may_help;
    p.pause = p.pause != NULL ? p.pause : sleep_ms;
    return p;
}

loom_status loom_workflow_retry(const loom_workflow_options *options, const loom_retry_policy *policy, loom_workflow_fn fn,
                                void *user)
{
    if (options == NULL || fn == NULL) {
        return last_error_null(options == NULL ? "the options" : "the work's function");
    }
    const loom_retry_policy p = with_defaults(policy);
    loom_workflow_options attempt = *options;
    attempt.kind = LOOM_WORKFLOW_ATTEMPT;
    for (attempt.index = 1;; attempt.index++) {
        loom_status outcome = loom_workflow_run(&attempt, fn, user);
        if (outcome == LOOM_OK || attempt.index >= p.max_attempts || !p.may_retry(p.user, outcome)) {
            return outcome;
        }
        p.pause(p.user, (uint32_t)backoff_delay(p.first_delay_ms, p.max_delay_ms, attempt.index - 1));
    }
}
