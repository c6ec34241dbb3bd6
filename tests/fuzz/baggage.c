/* SPDX-License-Identifier: Apache-2.0 */
/* The text of what was read reads back whole and the same; each member can be set in another baggage; limits hold. */
#include <loom/baggage.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* An encoded value may be longer than what it was decoded from, so that a member may have outgrown the limit. */
static void set_again(const loom_baggage_member *m)
{
    loom_baggage *b;
    const loom_status status = loom_baggage_set(&b, NULL, m);
    require(status == LOOM_OK || status == LOOM_ETOOBIG);
    if (status == LOOM_OK) {
        const loom_baggage_member *found = loom_baggage_find(b, m->key);
        require(found != NULL && str_equal(found->value, m->value) && found->property_count == m->property_count);
    }
    loom_baggage_unref(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loom_baggage *b;
    loom_baggage *again;
    size_t dropped;
    require(loom_baggage_parse(&b, (loom_str){.data = (const char *)data, .len = size}, &dropped) == LOOM_OK);
    const loom_str text = loom_baggage_text(b);
    require(text.len <= LOOM_BAGGAGE_MAX && loom_baggage_count(b) <= LOOM_BAGGAGE_MAX_MEMBERS);
    require(loom_baggage_parse(&again, text, &dropped) == LOOM_OK);
    require(dropped == 0 && str_equal(text, loom_baggage_text(again)) && loom_baggage_count(again) == loom_baggage_count(b));
    for (size_t i = 0; i < loom_baggage_count(b); i++) {
        require(str_equal(loom_baggage_at(b, i)->value, loom_baggage_at(again, i)->value));
        set_again(loom_baggage_at(b, i));
    }
    loom_baggage_unref(again);
    loom_baggage_unref(b);
    return 0;
}
