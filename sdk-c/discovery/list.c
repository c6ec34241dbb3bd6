/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the broker for a list, page by page: calls of its own capabilities. */
#include <loom/action.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sdk-c/agent/parts.h"
#include "sdk-c/discovery/entries.h"

enum {
    KEYS_MAX = 4,
    VALUE_MAX = 256,  /* bytes: no name is longer */
    PAGE_ITEMS = 1000,
    PAGES_MAX = 10000,
    QUESTION_MAX = 16 + (KEYS_MAX + 2) * (16 + VALUE_MAX)
};

typedef struct key_value {
    const char *key, *value; /* value NULL: it is not asked for */
} key_value;

typedef struct listing {
    loom_agent *agent;
    const char *capability; /* to be called */
    const char *key;        /* under which the answer has its list */
    key_value asked[KEYS_MAX];
    uint32_t timeout_ms;
} listing;

static loom_status check(const listing *l)
{
    for (size_t i = 0; i < KEYS_MAX; i++) {
        if (l->asked[i].value != NULL && strlen(l->asked[i].value) > VALUE_MAX) {
            return last_error(LOOM_EINVAL, "%s has %zu bytes, and no name is longer than %d", l->asked[i].key,
                              strlen(l->asked[i].value), VALUE_MAX);
        }
    }
    return LOOM_OK;
}

static size_t write_question(uint8_t out[QUESTION_MAX], const listing *l, const char *after)
{
    uint8_t *p = out, *pairs = p++;
    unsigned count = 1;
    p = mp_put_uint(mp_put_str(p, str_of("limit")), PAGE_ITEMS);
    for (size_t i = 0; i < KEYS_MAX; i++) {
        if (l->asked[i].value != NULL) {
            p = mp_put_str(mp_put_str(p, str_of(l->asked[i].key)), str_of(l->asked[i].value));
            count++;
        }
    }
    if (after != NULL) {
        p = mp_put_str(mp_put_str(p, str_of("after")), str_of(after));
        count++;
    }
    *pairs = (uint8_t)(MP_FIXMAP | count);
    return (size_t)(p - out);
}

static loom_status no_answer(loom_status st, const loom_result *result)
{
    if (st == LOOM_ENORESPONDERS) {
        return last_error(LOOM_EVERSION, "the broker does not answer questions over the agent link");
    }
    if (st == LOOM_EREMOTE && result != NULL && strcmp(loom_result_code(result), "system_busy") == 0) {
        return last_error(LOOM_EBUSY, "the broker was asked too much lately");
    }
    return st;
}

static loom_status refused(const entries_page *page)
{
    const loom_status st = page->status <= INT32_MAX ? (loom_status)page->status : LOOM_EPROTO;
    return last_error(st, "the broker refused: %.*s", (int)page->text.len, page->text.len > 0 ? page->text.data : "");
}

static loom_status ask(const listing *l, entries *e, entries_page *page, const char *after)
{
    uint8_t question[QUESTION_MAX];
    loom_result *result = NULL;
    const loom_invoke_options options = {.deadline_ms = l->timeout_ms, .content_type = "application/msgpack"};
    loom_status st = loom_agent_invoke(l->agent, l->capability, (loom_bytes){question, write_question(question, l, after)}, &options,
                                       &result);
    if (st != LOOM_OK) {
        st = no_answer(st, result);
    } else if ((st = entries_add_page(e, loom_result_payload(result), l->key, page)) == LOOM_EPROTO) {
        st = last_error(st, "the broker's answer cannot be read");
    } else if (st == LOOM_OK && page->status != LOOM_OK) {
        st = refused(page);
    }
    loom_result_free(result);
    return st;
}

static loom_status list(const listing *l, loom_directory **out)
{
    entries_page page = {.more = true};
    loom_status st = check(l);
    entries *e = st == LOOM_OK ? calloc(1, sizeof *e) : NULL;
    if (e == NULL) {
        return st == LOOM_OK ? LOOM_ENOMEM : st;
    }
    for (int i = 0; st == LOOM_OK && page.more && i < PAGES_MAX; i++) {
        const char *after = page.last;
        st = ask(l, e, &page, after);
        page.more = page.more && page.last != NULL && page.last[0] != '\0' && strlen(page.last) <= VALUE_MAX &&
                    (after == NULL || strcmp(page.last, after) != 0);
    }
    if (st != LOOM_OK) {
        entries_free(e);
        return st;
    }
    *out = &e->shown;
    return LOOM_OK;
}

loom_status loom_agent_list_agents(loom_agent *a, const loom_directory_query *query, loom_directory **out)
{
    static const loom_directory_query all;
    if (out == NULL) {
        return last_error_null("the place for the list");
    }
    *out = NULL;
    query = query != NULL ? query : &all;
    return list(&(listing){.agent = a, .capability = "system.agents", .key = "agents", .timeout_ms = query->timeout_ms,
                           .asked = {{"agent", query->agent}, {"topic", query->topic}, {"capability", query->capability}}}, out);
}

loom_status loom_agent_list_capabilities(loom_agent *a, const loom_directory_query *query, loom_directory **out)
{
    static const loom_directory_query all;
    if (out == NULL) {
        return last_error_null("the place for the list");
    }
    *out = NULL;
    query = query != NULL ? query : &all;
    return list(&(listing){.agent = a, .capability = "system.capabilities", .key = "capabilities", .timeout_ms = query->timeout_ms,
                           .asked = {{"name", query->name}, {"prefix", query->prefix}}}, out);
}

void loom_directory_free(loom_directory *directory)
{
    entries_free((entries *)(void *)directory);
}
