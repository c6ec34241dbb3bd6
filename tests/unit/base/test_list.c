/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"
#include "tests/support/check.h"

typedef struct guest {
    char name;
    list_node seat, coat; /* neither is first */
} guest;

/* The names from first to last; the way back must give the same ones. */
static const char *names(const linked_list *l, char out[8])
{
    size_t count = 0;
    for (list_node *n = l->first; n != NULL; n = n->next) {
        out[count++] = list_item(n, guest, seat)->name;
    }
    out[count] = '\0';
    for (list_node *n = l->last; n != NULL; n = n->prev) {
        assert_int_equal(out[--count], list_item(n, guest, seat)->name);
    }
    assert_int_equal(0, count);
    return out;
}

static void a_zeroed_list_is_empty(void **state)
{
    (void)state;
    linked_list l = {0};
    assert_null(list_take_first(&l));
    assert_null(list_item(list_take_first(&l), guest, seat));
}

static void items_keep_the_order_in_which_they_were_added(void **state)
{
    (void)state;
    char text[8];
    guest a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    linked_list l = {0};
    list_append(&l, &a.seat);
    list_append(&l, &b.seat);
    list_append(&l, &c.seat);
    assert_string_equal("abc", names(&l, text));
    assert_ptr_equal(&a, list_item(list_take_first(&l), guest, seat));
    assert_string_equal("bc", names(&l, text));
}

static void any_item_can_be_removed(void **state)
{
    (void)state;
    char text[8];
    for (size_t removed = 0; removed < 3; removed++) {
        static const char *const left[] = {"bc", "ac", "ab"};
        guest guests[3] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}};
        linked_list l = {0};
        for (size_t i = 0; i < 3; i++) {
            list_append(&l, &guests[i].seat);
        }
        list_remove(&l, &guests[removed].seat);
        assert_string_equal(left[removed], names(&l, text));
        list_append(&l, &guests[removed].seat);
        assert_ptr_equal(&guests[removed].seat, l.last);
    }
}

static void the_last_item_leaves_an_empty_list(void **state)
{
    (void)state;
    char text[8];
    guest a = {.name = 'a'};
    linked_list l = {0};
    list_append(&l, &a.seat);
    list_remove(&l, &a.seat);
    assert_string_equal("", names(&l, text));
    assert_null(l.first);
    assert_null(l.last);
}

static void an_item_may_be_in_two_lists(void **state)
{
    (void)state;
    guest a = {.name = 'a'}, b = {.name = 'b'};
    linked_list seats = {0}, coats = {0};
    list_append(&seats, &a.seat);
    list_append(&seats, &b.seat);
    list_append(&coats, &b.coat);
    list_append(&coats, &a.coat);
    assert_ptr_equal(&a, list_item(list_take_first(&seats), guest, seat));
    assert_ptr_equal(&b, list_item(list_take_first(&coats), guest, coat));
    assert_ptr_equal(&a, list_item(coats.first, guest, coat));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zeroed_list_is_empty),
        cmocka_unit_test(items_keep_the_order_in_which_they_were_added),
        cmocka_unit_test(any_item_can_be_removed),
        cmocka_unit_test(the_last_item_leaves_an_empty_list),
        cmocka_unit_test(an_item_may_be_in_two_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
