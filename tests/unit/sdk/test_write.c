/* SPDX-License-Identifier: Apache-2.0 */
/* Who writes what is left when two threads have something to send at a time. */
#include "sdk-c/agent/loop.h"
#include "tests/support/check.h"

typedef struct fake_carrier {
    carrier base; /* first */
    agent_loop *loop;
    size_t sent;
} fake_carrier;

/* While another thread writes, the exporter has spans ready and wakes the loop, which sees that thread, and sleeps again. */
static loom_status send_while_the_loop_looks(carrier *c, const struct iovec *iov, size_t count, size_t *sent)
{
    fake_carrier *f = (fake_carrier *)c;
    *sent = 0;
    for (size_t i = 0; i < count; i++) {
        *sent += iov[i].iov_len;
    }
    f->sent += *sent;
    pthread_mutex_lock(&f->loop->lock);
    f->loop->spans_wait = true;
    loop_wake(f->loop);
    pthread_mutex_unlock(&f->loop->lock);
    loop_write_all(f->loop, false);
    return LOOM_OK;
}

static void watch_room(carrier *c, bool on)
{
    (void)c;
    (void)on;
}

static void close_nothing(carrier *c)
{
    (void)c;
}

static void the_loop_is_woken_for_spans_that_it_could_not_send_meanwhile(void **state)
{
    static const carrier_ops ops = {.send = send_while_the_loop_looks, .watch_room = watch_room, .close = close_nothing};
    agent_loop loop = {0};
    fake_carrier link = {.base.ops = &ops, .loop = &loop};
    (void)state;
    assert_status(LOOM_OK, loop_init(&loop, 1024));
    loop.link = &link.base;
    loop.writable = true;
    pthread_mutex_lock(&loop.lock);
    assert_status(LOOM_OK, frame_put_number(&loop.out.control, FRAME_PING, 1));
    loop_write(&loop, false);
    assert_true(link.sent > 0);
    assert_true(loop.spans_wait);
    assert_true(loop.woken);
    pthread_mutex_unlock(&loop.lock);
    loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loop_is_woken_for_spans_that_it_could_not_send_meanwhile),
    };
    return cmocka_run_group_tests_name("sdk_write", tests, NULL, NULL);
}
