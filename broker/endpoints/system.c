/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the control socket that come another way: by calling system.NAME over the agent link, which only those can be
 * asked by that change nothing, and from the HTTP gateway.
 *
 * Any agent or client may ask, and a list takes time with everything that is listed: so answers may use a share of the loop's
 * time and no more, with some in reserve for who asks seldom. */
#include "base/str.h"
#include "broker/endpoints/control_internal.h"

enum {
    SHARE = 20,                     /* one part in so many of the time that passes */
    RESERVE_NS = 200 * 1000 * 1000  /* so much of it is kept for later */
};

/* name: empty when the question names what is asked. */
static loom_status run(bus_server *s, loom_str name, loom_bytes question, control_buffer *answer)
{
    static const sp_reply_to nobody;
    if (name.len > 0) {
        return control_run_system(s, name, question, answer);
    }
    return control_run(s, question, &nobody, answer) == CONTROL_ANSWERED ? LOOM_OK : LOOM_ENOMEM;
}

static loom_status answer_within_share(bus_server *s, loom_str name, loom_bytes question, void (*take)(void *to, loom_bytes answer), void *to)
{
    const uint64_t begun_ns = uv_hrtime();
    control_buffer answer;
    if (!time_share_has_any(&s->control.system, begun_ns, SHARE, RESERVE_NS)) {
        return LOOM_EBUSY;
    }
    control_buffer_init(&answer);
    loom_status st = run(s, name, question, &answer);
    if (st == LOOM_OK && answer.failed) {
        st = LOOM_ENOMEM;
    }
    if (st == LOOM_OK) {
        take(to, (loom_bytes){(const uint8_t *)answer.bytes.data, answer.bytes.size});
    }
    control_buffer_fini(&answer);
    time_share_spend(&s->control.system, uv_hrtime() - begun_ns);
    return st;
}

loom_status control_system_answer(void *user, loom_str name, loom_bytes question, void (*take)(void *to, loom_bytes answer), void *to)
{
    return answer_within_share(user, name, question, take, to);
}

loom_status bus_server_ask(bus_server *s, loom_bytes question, void (*take)(void *to, loom_bytes answer), void *to)
{
    return answer_within_share(s, (loom_str){NULL, 0}, question, take, to);
}
