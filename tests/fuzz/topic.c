/* SPDX-License-Identifier: Apache-2.0 */
/* The input is lines: filters, and last a topic. The trie must find what the naive match finds, refuse what the grammar
 * refuses, and be empty again at the end. */
#include <stdlib.h>
#include <string.h>

#include "broker/eventbus/topic_trie.h"

enum { FILTERS_MAX = 64 };

typedef struct filter {
    topic_trie_value in_trie; /* first */
    loom_str text;
    bool added;
    size_t visits;
} filter;

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void count_visit(void *user, topic_trie_value *value)
{
    (void)user;
    ((filter *)value)->visits++;
}

static void compare(const topic_trie *trie, filter *filters, size_t count, loom_str topic)
{
    const bool valid = loom_topic_valid(topic);
    size_t expected = 0;
    const size_t visited = topic_trie_match(trie, topic, count_visit, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        const bool matches = loom_filter_matches(filters[i].text, topic);
        if (valid) {
            require(filters[i].visits == (filters[i].added && matches ? 1 : 0));
            expected += filters[i].visits;
        }
    }
    require(!valid || expected == visited);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    filter filters[FILTERS_MAX];
    size_t count = 0;
    loom_str rest = {.data = (const char *)data, .len = size};
    topic_trie *trie;
    require(topic_trie_create(&trie) == LOOM_OK);
    for (const char *end; count < FILTERS_MAX && rest.len > 0 && (end = memchr(rest.data, '\n', rest.len)) != NULL;) {
        filter *f = &filters[count++];
        *f = (filter){.text = {.data = rest.data, .len = (size_t)(end - rest.data)}};
        const char *reason;
        f->added = topic_trie_add(trie, f->text, &f->in_trie) == LOOM_OK;
        require(f->added == (loom_filter_check(f->text, &reason) == LOOM_OK));
        require(f->added == (reason == NULL));
        rest.len -= f->text.len + 1;
        rest.data = end + 1;
    }
    compare(trie, filters, count, rest);
    for (size_t i = 0; i < count; i++) {
        require((filters[i].in_trie.node != NULL) == filters[i].added);
        if (filters[i].added) {
            topic_trie_remove(trie, &filters[i].in_trie);
        }
    }
    require(topic_trie_node_count(trie) == 0 && topic_trie_value_count(trie) == 0);
    topic_trie_destroy(trie);
    return 0;
}
