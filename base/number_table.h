/* SPDX-License-Identifier: Apache-2.0 */
/* A map from numbers to pointers: open addressing, grown by doubling. Values are not owned and not NULL. */
#ifndef LOOM_BASE_NUMBER_TABLE_H
#define LOOM_BASE_NUMBER_TABLE_H

#include <loom/status.h>

typedef struct number_entry {
    uint64_t number;
    void *value; /* NULL: free */
} number_entry;

typedef struct number_table {
    number_entry *entries;
    size_t capacity; /* 0 or a power of two */
    size_t count;
} number_table; /* all zero: empty */

void number_table_fini(number_table *t);
/* LOOM_EEXIST, LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status number_table_add(number_table *t, uint64_t number, void *value);
void *number_table_get(const number_table *t, uint64_t number); /* NULL: not there */
void *number_table_remove(number_table *t, uint64_t number);    /* what was there, or NULL */
/* Visits entries in no order: begin with *position 0. False: no more. The table must not change in between. */
bool number_table_next(const number_table *t, size_t *position, void **value);
/* Takes one out of a table that is only emptied from then on: no number is found in it any more. *position is 0 at first. NULL:
 * it is empty. */
void *number_table_drain(number_table *t, size_t *position);

#endif
