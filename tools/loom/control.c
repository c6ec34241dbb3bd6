/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/runtime_dir.h"
#include "base/url.h"

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

static const char *set_variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static const char *asked_link(const options *o)
{
    const char *given = options_value(o, "url");
    return given != NULL || set_variable("LOOM_CONTROL") != NULL ? given : set_variable("LOOM_URL");
}

/* What is not asked over the link must not be asked of another broker than that which the link leads to. */
static bool is_this_machines(const char *link)
{
    char standard[CONTROL_ADDRESS_SIZE];
    return link == NULL || (paths_runtime_url(standard, sizeof standard, "loom.sock") == LOOM_OK && strcmp(link, standard) == 0);
}

const char *control_address(const options *o, char *fallback, size_t size, char *why, size_t why_size)
{
    const char *named = options_value(o, "control"), *link = asked_link(o);
    char shown[URL_SHOWN_SIZE];
    named = named != NULL ? named : set_variable("LOOM_CONTROL");
    if (named != NULL) {
        return named;
    }
    if (!is_this_machines(link)) {
        url_show(shown, link);
        snprintf(why, why_size, "this takes the control socket of the broker at %s, which LOOM_URL does not name; set --control or "
                 "LOOM_CONTROL to its bus_control", shown);
        return NULL;
    }
    if (paths_runtime_url(fallback, size, "bus-control.sock") != LOOM_OK) {
        snprintf(why, why_size, "no default control address; set --control");
        return NULL;
    }
    return fallback;
}

int control_exit_of(loom_status st)
{
    return st == LOOM_EINVAL ? VERB_USAGE : st == LOOM_ENOTFOUND ? VERB_NOBODY : verb_exit_of(st);
}

int control_fail(const command *c, int exit_code, const char *why)
{
    (void)(exit_code == VERB_USAGE ? command_misuse(c, "%s", why) : command_fail(c, "%s", why));
    return exit_code;
}

static bool open_socket(control_asker *a, const options *o, char *why, size_t size, int *exit_code)
{
    a->where = control_address(o, a->fallback, sizeof a->fallback, why, size);
    if (a->where == NULL) {
        *exit_code = VERB_USAGE;
    }
    return a->where != NULL;
}

bool control_asker_open(control_asker *a, const command *c, const options *o, char *why, size_t size, int *exit_code)
{
    a->where = NULL;
    return !options_has(o, "control") && asked_link(o) != NULL ? link_asker_open(&a->link, c, o, why, size, exit_code)
                                                               : open_socket(a, o, why, size, exit_code);
}

json_t *control_asker_ask(control_asker *a, const char *op, const char *item_key, const control_key *keys, char *why, size_t size,
                          int *exit_code)
{
    if (a->where == NULL) {
        return link_asker_ask(&a->link, op, item_key, keys, why, size, exit_code);
    }
    loom_status st;
    json_t *answer = ask(a->where, op, item_key, keys, &st, why, size);
    if (answer == NULL) {
        *exit_code = control_exit_of(st);
    }
    return answer;
}

void control_asker_close(control_asker *a)
{
    if (a->where == NULL) {
        link_asker_close(&a->link);
    }
}

static json_t *ask_and_close(control_asker *a, const command *c, bool opened, const char *op, const char *item_key, const control_key *keys,
                             char why[CONTROL_WHY_SIZE], int *exit_code)
{
    json_t *answer = opened ? control_asker_ask(a, op, item_key, keys, why, CONTROL_WHY_SIZE, exit_code) : NULL;
    if (opened) {
        control_asker_close(a);
    }
    if (answer == NULL) {
        control_fail(c, *exit_code, why);
    }
    return answer;
}

json_t *control_try_socket(const options *o, const char *op, const control_key *keys, char why[CONTROL_WHY_SIZE], int *exit_code)
{
    control_asker a;
    const bool opened = open_socket(&a, o, why, CONTROL_WHY_SIZE, exit_code);
    return opened ? control_asker_ask(&a, op, NULL, keys, why, CONTROL_WHY_SIZE, exit_code) : NULL;
}

json_t *control_ask_socket(const command *c, const options *o, const char *op, const control_key *keys, int *exit_code)
{
    char why[CONTROL_WHY_SIZE];
    json_t *answer = control_try_socket(o, op, keys, why, exit_code);
    if (answer == NULL) {
        control_fail(c, *exit_code, why);
    }
    return answer;
}

json_t *control_ask(const command *c, const options *o, const char *op, const control_key *keys, int *exit_code)
{
    return control_list(c, o, op, NULL, keys, exit_code);
}

json_t *control_list(const command *c, const options *o, const char *op, const char *item_key, const control_key *keys,
                     int *exit_code)
{
    control_asker a;
    char why[CONTROL_WHY_SIZE];
    const bool opened = control_asker_open(&a, c, o, why, sizeof why, exit_code);
    return ask_and_close(&a, c, opened, op, item_key, keys, why, exit_code);
}
