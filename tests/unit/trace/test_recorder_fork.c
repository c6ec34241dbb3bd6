/* SPDX-License-Identifier: Apache-2.0 */
/* The flight recorder in the child of a fork(): its parent's is none of its business, and it may have one of its own. */
#include "tests/unit/trace/recorded.h"

#include <loom/recorder.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "trace/record/recorder.h"

enum { SMALLEST = 512 * 1024, CHILD_DEADLINE_S = 20 };

static const loom_sampler off = {.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF};

static int setup(void **state)
{
    *state = NULL;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 0; /* their allocators may be locked in the child for ever, and the second lets no child have threads */
#endif
    recorded *r = calloc(1, sizeof *r);
    assert_status(LOOM_OK, loom_recorder_configure(SMALLEST, NULL));
    recorded_open(r, &off);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    if (*state == NULL) {
        return 0;
    }
    recorded_close(*state);
    free(*state);
    return 0;
}

static void skip_without(void **state)
{
    if (*state == NULL) {
        skip();
    }
}

static void end_span(recorded *r, const loom_trace_context *parent)
{
    loom_span_end(loom_span_start(r->tracer, "work", &(loom_span_options){.kind = LOOM_SPAN_INTERNAL, .parent = parent}));
}

static size_t exported(recorded *r)
{
    recorded_read(r);
    return json_array_size(r->spans);
}

/* Runs in a child, which the alarm ends if it hangs. */
static void in_child(bool (*check)(recorded *parents), recorded *parents)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* cmocka would go on with the next test */
        alarm(CHILD_DEADLINE_S);
        _exit(check(parents) ? 0 : 1);
    }
    int status;
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_int_equal(0, status);
}

static const loom_trace_context root = {{0xaa, 1}, {0xbb, 2}, 0}, late = {{0xaa, 2}, {0xbb, 2}, 0};

/* The trace has a span of the parent's, too, which is the parent's to export. */
static bool the_childs_own(recorded *parents)
{
    recorded own;
    const loom_recorder_counts none = loom_recorder_counts_now();
    end_span(parents, &root);
    recorded_open(&own, &off);
    end_span(&own, &root);
    end_span(parents, &root);
    recorder_keep_here(root.trace_id, STR("asked"));
    const size_t of_trace = exported(&own);
    end_span(&own, &root); /* a moment later */
    loom_trace_keep(&late, NULL);
    end_span(&own, &late);
    const size_t in_all = exported(&own);
    const loom_recorder_counts now = loom_recorder_counts_now();
    loom_tracer_provider_unref(parents->provider); /* takes nothing of the child's with it */
    end_span(&own, &root);
    const size_t after = exported(&own);
    recorded_close(&own);
    const bool right = none.recorded == 0 && of_trace == 1 && in_all == 3 && now.recorded == 3 && now.kept == 3 && after == 4;
    if (!right) {
        print_error("%zu %zu %zu, recorded %llu, kept %llu\n", of_trace, in_all, after, (unsigned long long)now.recorded,
                    (unsigned long long)now.kept);
    }
    return right;
}

static bool a_grandchild(recorded *parents)
{
    recorded own;
    int status = 1;
    recorded_open(&own, &off);
    end_span(&own, &root);
    const pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* cmocka would go on with the next test */
        alarm(CHILD_DEADLINE_S);
        _exit(the_childs_own(parents) ? 0 : 1);
    }
    (void)waitpid(child, &status, 0);
    recorder_keep_here(root.trace_id, STR("asked"));
    const size_t count = exported(&own);
    recorded_close(&own);
    return status == 0 && count == 1;
}

static void the_child_records_what_is_its_own(void **state)
{
    skip_without(state);
    recorded *r = *state;
    end_span(r, &root);
    recorder_keep_here(late.trace_id, STR("asked")); /* what is kept in the parent is not in the child */
    assert_int_equal(0, exported(r));
    in_child(the_childs_own, r);
    recorder_keep_here(root.trace_id, STR("asked"));
    assert_int_equal(1, exported(r));
}

static void so_does_the_child_of_a_child(void **state)
{
    skip_without(state);
    end_span(*state, &root);
    in_child(a_grandchild, *state);
}

static atomic_bool busy;

static void *record_always(void *user)
{
    while (atomic_load(&busy)) {
        loom_trace_context ctx = root;
        end_span(user, &ctx);
        loom_trace_keep(&ctx, NULL);
        (void)loom_recorder_counts_now();
    }
    return NULL;
}

static bool counts_and_records(recorded *parents)
{
    recorded own;
    (void)parents;
    (void)loom_recorder_counts_now();
    recorded_open(&own, &off);
    end_span(&own, &late);
    recorder_keep_here(late.trace_id, STR("asked"));
    const bool right = exported(&own) == 1;
    recorded_close(&own);
    return right;
}

static void a_fork_in_the_midst_of_recording_leaves_no_lock_to_wait_for(void **state)
{
    skip_without(state);
    enum { THREADS = 4, FORKS = 20 };
    pthread_t threads[THREADS];
    atomic_store(&busy, true);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, record_always, *state));
    }
    for (unsigned i = 0; i < FORKS; i++) {
        in_child(counts_and_records, *state);
    }
    atomic_store(&busy, false);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(0, pthread_join(threads[i], NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_child_records_what_is_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(so_does_the_child_of_a_child, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fork_in_the_midst_of_recording_leaves_no_lock_to_wait_for, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
