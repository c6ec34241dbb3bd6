/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/session/ahead.h"

uint64_t session_ahead_of(const session_ahead *a, const bus *b)
{
    if (b->mark == 0 || b->mark_done >= a->newer_mark) {
        return 0;
    }
    return a->newer + (b->mark_done >= a->older_mark ? 0 : a->older);
}

uint64_t session_ahead_add(session_ahead *a, const bus *b, uint64_t work)
{
    if (b->mark == 0) {
        return 0;
    }
    if (b->mark != a->newer_mark) {
        a->older = session_ahead_of(a, b);
        a->older_mark = a->newer_mark;
        a->newer = 0;
        a->newer_mark = b->mark;
    }
    a->newer += work;
    return session_ahead_of(a, b);
}
