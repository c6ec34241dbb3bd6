/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number_table.h"

#include <stdlib.h>

/* Numbers come from outside, mostly counted up: a multiplicative mix spreads those and strides alike. */
static size_t slot_of(const number_table *t, uint64_t number)
{
    uint64_t h = number * 0x9e3779b97f4a7c15u;
    return (size_t)(h ^ (h >> 32)) & (t->capacity - 1);
}

void number_table_fini(number_table *t)
{
    free(t->entries);
    *t = (number_table){0};
}

static number_entry *find(const number_table *t, uint64_t number)
{
    size_t i = slot_of(t, number);
    while (t->entries[i].value != NULL && t->entries[i].number != number) {
        i = (i + 1) & (t->capacity - 1);
    }
    return &t->entries[i];
}

static loom_status grow(number_table *t)
{
    number_table larger = {.capacity = t->capacity > 0 ? t->capacity * 2 : 16, .count = t->count};
    larger.entries = calloc(larger.capacity, sizeof *larger.entries);
    if (larger.entries == NULL) {
        return LOOM_ENOMEM;
    }
    for (size_t i = 0; i < t->capacity; i++) {
        if (t->entries[i].value != NULL) {
            *find(&larger, t->entries[i].number) = t->entries[i];
        }
    }
    free(t->entries);
    *t = larger;
    return LOOM_OK;
}

loom_status number_table_add(number_table *t, uint64_t number, void *value)
{
    if (t->count * 4 >= t->capacity * 3) {
        loom_status st = grow(t);
        if (st != LOOM_OK) {
            return st;
        }
    }
    number_entry *entry = find(t, number);
    if (entry->value != NULL) {
        return LOOM_EEXIST;
    }
    *entry = (number_entry){number, value};
    t->count++;
    return LOOM_OK;
}

void *number_table_get(const number_table *t, uint64_t number)
{
    return t->capacity > 0 ? find(t, number)->value : NULL;
}

/* Closes the hole by moving back what had to pass over it, so that no marks of removed entries are needed. */
static void close_hole(number_table *t, size_t hole)
{
    size_t mask = t->capacity - 1;
    for (size_t i = (hole + 1) & mask; t->entries[i].value != NULL; i = (i + 1) & mask) {
        size_t home = slot_of(t, t->entries[i].number);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->entries[hole] = t->entries[i];
            hole = i;
        }
    }
    t->entries[hole] = (number_entry){0, NULL};
}

void *number_table_remove(number_table *t, uint64_t number)
{
    if (t->capacity == 0) {
        return NULL;
    }
    number_entry *entry = find(t, number);
    void *value = entry->value;
    if (value != NULL) {
        t->count--;
        close_hole(t, (size_t)(entry - t->entries));
    }
    return value;
}

bool number_table_next(const number_table *t, size_t *position, void **value)
{
    while (*position < t->capacity) {
        number_entry *entry = &t->entries[(*position)++];
        if (entry->value != NULL) {
            *value = entry->value;
            return true;
        }
    }
    return false;
}

void *number_table_drain(number_table *t, size_t *position)
{
    void *value = NULL;
    if (number_table_next(t, position, &value)) {
        t->entries[*position - 1].value = NULL;
        t->count--;
    }
    return value;
}
