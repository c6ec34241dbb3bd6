/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/runtime_dir.h"
#include "tools/loom/link_question.h"

enum { ANSWER_MS = 3000 };

typedef struct outcome {
    json_t *answer;
    loom_status status;
    char *why;
    size_t size;
} outcome;

static void on_done(void *user, loom_status status, json_t *answer, const char *why)
{
    outcome *o = user;
    o->status = status;
    o->answer = answer;
    if (answer == NULL) {
        snprintf(o->why, o->size, "%s", why);
    }
}

/* On a loop of its own, until the answer or the deadline. NULL: why says why, *st what kind of failure it is. */
static json_t *ask(const char *where, const char *op, const char *item_key, const control_key *keys, loom_status *st, char *why,
                   size_t size)
{
    uv_loop_t loop;
    outcome o = {.status = LOOM_ENOMEM, .why = why, .size = size};
    const control_question_options question = {.where = where, .op = op, .item_key = item_key, .keys = keys, .answer_ms = ANSWER_MS,
                                               .done = on_done, .user = &o};
    snprintf(why, size, "out of memory");
    if (uv_loop_init(&loop) == 0) {
        (void)control_question_ask(&loop, &question);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&loop);
    }
    *st = o.status;
    return o.answer;
}

json_t *control_query(const char *where, const char *op, const char *item_key, const control_key *keys, char *why, size_t size)
{
    loom_status st;
    return ask(where, op, item_key, keys, &st, why, size);
}

const char *control_address(const command *c, const options *o, char *fallback, size_t size, int *exit_code)
{
    const char *where = options_value(o, "control");
    where = where != NULL ? where : getenv("LOOM_CONTROL");
    if (where == NULL && paths_runtime_url(fallback, size, "bus-control.sock") != LOOM_OK) {
        *exit_code = command_fail(c, "no default control address; set --control");
        return NULL;
    }
    return where != NULL ? where : fallback;
}

static json_t *ask_socket(const command *c, const options *o, const char *op, const char *item_key, const control_key *keys,
                          int *exit_code)
{
    char fallback[CONTROL_ADDRESS_SIZE], why[PROBLEM_TEXT_SIZE] = "out of memory";
    loom_status st = LOOM_ENOMEM;
    const char *where = control_address(c, o, fallback, sizeof fallback, exit_code);
    json_t *all = where != NULL ? ask(where, op, item_key, keys, &st, why, sizeof why) : NULL;
    if (where != NULL && all == NULL) {
        *exit_code = command_fail_with(c, st, "%s", why);
    }
    return all;
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

static bool asks_link(const options *o)
{
    if (options_has(o, "control")) {
        return false;
    }
    return options_has(o, "url") || (is_set("LOOM_URL") && !is_set("LOOM_CONTROL"));
}

json_t *control_ask_socket(const command *c, const options *o, const char *op, const control_key *keys, int *exit_code)
{
    return ask_socket(c, o, op, NULL, keys, exit_code);
}

json_t *control_ask(const command *c, const options *o, const char *op, const control_key *keys, int *exit_code)
{
    return control_list(c, o, op, NULL, keys, exit_code);
}

json_t *control_list(const command *c, const options *o, const char *op, const char *item_key, const control_key *keys,
                     int *exit_code)
{
    return asks_link(o) ? link_question_ask(c, o, op, item_key, keys, exit_code)
                        : ask_socket(c, o, op, item_key, keys, exit_code);
}
