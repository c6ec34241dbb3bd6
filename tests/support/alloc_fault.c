/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/alloc_fault.h"

#include <stdlib.h>

#include "tests/support/check.h"

/* A scenario that still fails after this many allocations is looping, not finishing. */
enum { ALLOC_FAULT_MAX = 100000 };

/* Thread-local, so that an exporter or loop thread at work meanwhile neither counts nor fails. */
static _Thread_local struct {
    bool armed;
    bool fired;
    size_t left; /* allocations that still succeed before the one that fails */
} fault;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);

static bool fault_now(void)
{
    if (!fault.armed) {
        return false;
    }
    if (fault.fired || fault.left-- > 0) {
        return false;
    }
    fault.fired = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fault_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fault_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fault_now() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fault_now() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return fault_now() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t len)
{
    return fault_now() ? NULL : __real_strndup(text, len);
}

void alloc_fault_arm(size_t n)
{
    fault.armed = true;
    fault.fired = false;
    fault.left = n;
}

bool alloc_fault_disarm(void)
{
    fault.armed = false;
    return fault.fired;
}

static size_t each(alloc_fault_scenario *scenario, void *user, bool must_report)
{
    for (size_t n = 0; n < ALLOC_FAULT_MAX; n++) {
        alloc_fault_arm(n);
        const loom_status status = scenario(user);
        if (!alloc_fault_disarm()) {
            assert_status(LOOM_OK, status);
            return n;
        }
        if (must_report && status != LOOM_ENOMEM) {
            fail_msg("allocation %zu failed, and the call returned LOOM_%s", n, loom_status_name(status));
        }
    }
    fail_msg("still allocating after %d allocations", (int)ALLOC_FAULT_MAX);
    return 0;
}

size_t alloc_fault_each(alloc_fault_scenario *scenario, void *user)
{
    return each(scenario, user, true);
}

size_t alloc_fault_each_survived(alloc_fault_scenario *scenario, void *user)
{
    return each(scenario, user, false);
}
