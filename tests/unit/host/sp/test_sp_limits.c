/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets in when a server is full, and who has to go for it. */
#include <string.h>
#include <unistd.h>

#include "tests/unit/host/sp/sp_fixture.h"

static void ask(sp_peer *p)
{
    const loom_bytes request = BYTES("\x80\0\0\1?");
    assert_status(LOOM_OK, sp_peer_send(p, &request, 1));
}

/* The clock of the loop has moved on, so that nobody counts as new. */
static void pass_a_moment(sp_fixture *f)
{
    uint64_t before = uv_now(&f->loop);
    until(f, (uv_update_time(&f->loop), uv_now(&f->loop) > before + 1));
}

static sp_server *serve_two(sp_fixture *f, sp_ear *ear, sp_protocol protocol)
{
    sp_options o = ear_options(ear, protocol);
    o.max_peers = 2;
    return serve_with(f, &o, NULL);
}

static void the_longest_idle_asker_makes_room(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, first = {0}, second = {0}, third = {0};
    sp_fixture_open(&f);
    sp_server *s = serve_two(&f, &server, SP_REP);
    sp_peer *a = dial(&f, &first, SP_REQ, NULL);
    pass_a_moment(&f);
    sp_peer *b = dial(&f, &second, SP_REQ, NULL);
    pass_a_moment(&f);
    sp_peer *c = dial(&f, &third, SP_REQ, NULL);
    until(&f, first.closed == 1);
    assert_int_equal(0, second.closed);
    assert_non_null(strstr(server.log, "its place is needed for another"));
    (void)a;
    sp_peer_close(b);
    sp_peer_close(c);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void an_asker_that_waits_for_its_answer_stays(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, first = {0}, second = {0};
    sp_fixture_open(&f);
    sp_server *s = serve_two(&f, &server, SP_REP);
    sp_peer *a = dial(&f, &first, SP_REQ, NULL), *b = dial(&f, &second, SP_REQ, NULL);
    ask(a);
    ask(b);
    until(&f, server.messages == 2);
    pass_a_moment(&f);
    int fd = raw_open(&f, f.url);
    until(&f, raw_over(fd));
    close(fd);
    assert_int_equal(0, first.closed + second.closed);
    assert_non_null(strstr(server.log, "refused a connection: there are as many peers as are allowed"));
    sp_peer_close(a);
    sp_peer_close(b);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void who_has_not_greeted_makes_room_for_who_will(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_fixture_open(&f);
    sp_server *s = serve_two(&f, &server, SP_PULL);
    int silent[2] = {raw_open(&f, f.url), raw_open(&f, f.url)};
    for (unsigned i = 0; i < 3; i++) {
        uv_run(&f.loop, UV_RUN_NOWAIT); /* they are accepted */
    }
    pass_a_moment(&f);
    sp_peer *p = dial(&f, &client, SP_PUSH, NULL);
    until(&f, raw_over(silent[0]) || raw_over(silent[1]));
    sp_peer_close(p);
    close(silent[0]);
    close(silent[1]);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void the_descriptors_of_others_are_not_taken(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0};
    sp_fixture_open(&f);
    sp_options o = ear_options(&server, SP_PUB);
    o.descriptor_limit = 1;
    sp_server *s = serve_with(&f, &o, NULL);
    int fd = raw_open(&f, f.url);
    until(&f, raw_over(fd));
    close(fd);
    assert_int_equal(1, sp_server_get_stats(s).refused);
    assert_non_null(strstr(server.log, "kept for others"));
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void refusals_are_one_line_a_second(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0};
    sp_fixture_open(&f);
    sp_options o = ear_options(&server, SP_PULL);
    o.descriptor_limit = 1;
    sp_server *s = serve_with(&f, &o, NULL);
    uint64_t start = uv_now(&f.loop);
    for (unsigned i = 0; i < 50; i++) {
        int fd = raw_open(&f, f.url);
        until(&f, raw_over(fd));
        close(fd);
    }
    assert_int_equal(50, sp_server_get_stats(s).refused);
    assert_true(server.logs <= 2 * (1 + (uv_now(&f.loop) - start) / 1000));
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_idle_asker_makes_room),
        cmocka_unit_test(an_asker_that_waits_for_its_answer_stays),
        cmocka_unit_test(who_has_not_greeted_makes_room_for_who_will),
        cmocka_unit_test(the_descriptors_of_others_are_not_taken),
        cmocka_unit_test(refusals_are_one_line_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
