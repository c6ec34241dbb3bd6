/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive lists, in the order of adding. A node lies in the thing that is listed, so that adding needs no memory and
 * removing no search; a thing in several lists has a node for each. All zero is an empty list.
 *
 * Threads: the owner guards the list and the nodes in it. */
#ifndef LOOM_BASE_LIST_H
#define LOOM_BASE_LIST_H

#include <stddef.h>

typedef struct list_node {
    struct list_node *prev, *next; /* NULL at the ends; meaningless in no list */
} list_node;

typedef struct linked_list {
    list_node *first, *last;
} linked_list;

static inline void *list_item_at(list_node *node, size_t offset)
{
    return node != NULL ? (char *)node - offset : NULL;
}

/* The thing of this type whose member is node. NULL for NULL. */
#define list_item(node, type, member) ((type *)list_item_at((node), offsetof(type, member)))

/* node must be in no list. */
static inline void list_append(linked_list *l, list_node *node)
{
    node->prev = l->last;
    node->next = NULL;
    if (l->last != NULL) {
        l->last->next = node;
    } else {
        l->first = node;
    }
    l->last = node;
}

/* node must be in this list. */
static inline void list_remove(linked_list *l, list_node *node)
{
    if (node->prev != NULL) {
        node->prev->next = node->next;
    } else {
        l->first = node->next;
    }
    if (node->next != NULL) {
        node->next->prev = node->prev;
    } else {
        l->last = node->prev;
    }
}

/* The oldest, no longer listed. NULL: empty. */
static inline list_node *list_take_first(linked_list *l)
{
    list_node *node = l->first;
    if (node != NULL) {
        l->first = node->next;
        if (node->next != NULL) {
            node->next->prev = NULL;
        } else {
            l->last = NULL;
        }
    }
    return node;
}

#endif
