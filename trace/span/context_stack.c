/* SPDX-License-Identifier: Apache-2.0 */
/* The current context of each thread: a stack of spans and of bare contexts.
 *
 * Only its own thread touches a stack. An entry pins its span, so a span that another thread ends stays readable here
 * until this thread next looks: entries of ended spans are taken off as soon as they are met on top. */
#include "trace/span/internal.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 1024u  /* entries: deeper is a program that never pops */
#define DEPTH_FIRST 16u  /* entries */

typedef struct stack_entry {
    uint64_t token;
    bool local;                         /* a bare context of this process */
    loom_span *handle;                  /* NULL: a bare context */
    loom_span *span;                    /* of the handle, pinned; NULL: it has no memory, and no context */
    const loom_trace_context *borrowed; /* without a span; NULL: it is the copy */
    const lazy_span *lazy;              /* of a borrowed one: the span that it becomes when somebody asks for that; NULL: none */
    loom_trace_context copy;
    loom_str tracestate;                /* of a bare context: borrowed with it, or on the heap with the copy */
} stack_entry;

/* Set once, and a hint: who misses it has seen no context of its own thread. */
bool loom_context_in_use_;

static void clear_entry(const stack_entry *entry)
{
    if (entry->span != NULL) {
        span_unpin(entry->span);
    }
    if (entry->borrowed == NULL && entry->tracestate.len > 0) {
        free((char *)(uintptr_t)entry->tracestate.data);
    }
}

static void pop_entry(context_stack *stack)
{
    stack_entry entry = stack->entries[--stack->depth];
    clear_entry(&entry);
}

void context_stack_free(void)
{
    context_stack *const stack = &span_thread_here()->stack;
    while (stack->depth > 0) {
        pop_entry(stack);
    }
    free(stack->entries);
    stack->entries = NULL;
    stack->cap = 0;
}

__attribute__((noinline)) static bool grow(context_stack *stack)
{
    if (stack->depth == DEPTH_MAX || !thread_exit_attach(&stack->on_exit)) {
        return false;
    }
    size_t cap = stack->cap == 0 ? DEPTH_FIRST : stack->cap * 2;
    stack_entry *entries = realloc(stack->entries, cap * sizeof *entries);
    if (entries == NULL) {
        return false;
    }
    stack->entries = entries;
    stack->cap = cap;
    __atomic_store_n(&loom_context_in_use_, true, __ATOMIC_RELAXED);
    return true;
}

static inline bool make_room(context_stack *stack)
{
    return stack->depth < stack->cap || grow(stack);
}

/* The innermost entry that is still alive, or NULL. */
static const stack_entry *top_entry(context_stack *stack)
{
    while (stack->depth > 0) {
        const stack_entry *top = &stack->entries[stack->depth - 1];
        if (top->span == NULL || span_live(top->handle) != NULL) {
            return top;
        }
        pop_entry(stack);
    }
    return NULL;
}

hidden_context context_hide(void)
{
    context_stack *const stack = &span_thread_here()->stack;
    hidden_context hidden = {stack->entries, stack->depth, stack->cap};
    stack->entries = NULL;
    stack->depth = stack->cap = 0;
    return hidden;
}

void context_unhide(hidden_context hidden)
{
    context_stack *const stack = &span_thread_here()->stack;
    context_stack_free(); /* also what a callback has left behind */
    stack->entries = hidden.entries;
    stack->depth = hidden.depth;
    stack->cap = hidden.cap;
}

/* Of no span and of no context yet. */
static stack_entry *push_entry(context_stack *stack)
{
    stack_entry *entry = &stack->entries[stack->depth++];
    entry->token = ++stack->last_token;
    entry->local = false;
    entry->handle = entry->span = NULL;
    entry->borrowed = NULL;
    entry->lazy = NULL;
    entry->tracestate = (loom_str){0};
    return entry;
}

static const loom_trace_context *context_of(const stack_entry *entry)
{
    return entry->span != NULL ? &entry->span->ctx : entry->borrowed != NULL ? entry->borrowed : &entry->copy;
}

void loom_span_make_current(loom_span *handle)
{
    context_stack *const stack = &span_thread_here()->stack;
    loom_span *span = span_live(handle);
    /* Where nothing is current, a span without a context hides nothing. */
    const bool hides = handle == LOOM_SPAN_NOWHERE_ && top_entry(stack) != NULL;
    if ((span == NULL && !hides) || !make_room(stack)) {
        return;
    }
    stack_entry *entry = push_entry(stack);
    entry->handle = handle;
    if (span == NULL) {
        entry->copy = (loom_trace_context){0};
        return;
    }
    if (span->lacks != 0) {
        span_complete_context(span);
    }
    atomic_fetch_add_explicit(&span->pins, 1, memory_order_relaxed);
    entry->span = span;
}

uint64_t loom_context_push(const loom_trace_context *ctx, loom_str tracestate)
{
    context_stack *const stack = &span_thread_here()->stack;
    if (ctx == NULL || !make_room(stack)) {
        return 0;
    }
    stack_entry *entry = push_entry(stack);
    entry->copy = *ctx;
    char *copy = tracestate.len > 0 ? malloc(tracestate.len) : NULL;
    if (copy != NULL) {
        memcpy(copy, tracestate.data, tracestate.len);
        entry->tracestate = (loom_str){copy, tracestate.len};
    }
    return entry->token;
}

uint64_t context_push_local(const loom_trace_context *ctx, loom_str tracestate)
{
    context_stack *const stack = &span_thread_here()->stack;
    uint64_t token = loom_context_push(ctx, tracestate);
    if (token != 0) {
        stack->entries[stack->depth - 1].local = true;
    }
    return token;
}

bool context_current_is_remote(void)
{
    context_stack *const stack = &span_thread_here()->stack;
    const stack_entry *top = top_entry(stack);
    return top != NULL && top->handle == NULL && !top->local;
}

uint64_t context_push_borrowed(const loom_trace_context *ctx, loom_str tracestate)
{
    context_stack *const stack = &span_thread_here()->stack;
    if (!make_room(stack)) {
        return 0;
    }
    stack_entry *entry = push_entry(stack);
    entry->borrowed = ctx;
    entry->tracestate = tracestate;
    return entry->token;
}

uint64_t context_push_lazy(const loom_trace_context *ctx, const lazy_span *lazy)
{
    context_stack *const stack = &span_thread_here()->stack;
    uint64_t token = context_push_borrowed(ctx, (loom_str){0});
    if (token != 0) {
        stack->entries[stack->depth - 1].local = true;
        stack->entries[stack->depth - 1].lazy = lazy;
    }
    return token;
}

/* Somebody wants the span of what is current. Its maker changes nothing on this stack. */
static void make_lazy(stack_entry *entry)
{
    const lazy_span *lazy = entry->lazy;
    entry->lazy = NULL;
    loom_span *handle = lazy->make(lazy->user), *span = span_live(handle);
    if (span != NULL) {
        atomic_fetch_add_explicit(&span->pins, 1, memory_order_relaxed);
        entry->handle = handle;
        entry->span = span;
        entry->borrowed = NULL;
        entry->copy = span->ctx;
    }
}

void loom_context_pop(uint64_t token)
{
    context_stack *const stack = &span_thread_here()->stack;
    size_t at = stack->depth;
    if (at > 0 && stack->entries[at - 1].token == token && stack->entries[at - 1].borrowed != NULL) {
        stack->depth = at - 1; /* it owns nothing: around every message handled without a span */
        return;
    }
    while (at > 0 && stack->entries[at - 1].token > token) {
        at--;
    }
    if (at == 0 || stack->entries[at - 1].token != token) {
        return; /* gone already, never pushed, or of another thread */
    }
    while (stack->depth >= at) {
        pop_entry(stack);
    }
}

void context_stack_forget(context_stack *stack, const loom_span *handle)
{
    for (size_t i = stack->depth; i-- > 0;) {
        if (stack->entries[i].handle == handle) {
            stack_entry entry = stack->entries[i];
            memmove(&stack->entries[i], &stack->entries[i + 1], (stack->depth - i - 1) * sizeof entry);
            stack->depth--;
            clear_entry(&entry);
        }
    }
}

bool context_stack_top(context_stack *stack, context_parent *out)
{
    const stack_entry *top = top_entry(stack);
    if (top == NULL) {
        return false;
    }
    *out = (context_parent){.ctx = context_of(top),
                            .tracestate = top->span != NULL ? top->span->tracestate : top->tracestate,
                            .remote = top->handle == NULL && !top->local};
    return true;
}

const loom_trace_context *loom_context_current(void)
{
    context_stack *const stack = &span_thread_here()->stack;
    const stack_entry *top = top_entry(stack);
    return top != NULL ? context_of(top) : NULL;
}

loom_str loom_context_current_tracestate(void)
{
    context_parent parent;
    return context_stack_parent(&span_thread_here()->stack, &parent) ? parent.tracestate : (loom_str){0};
}

loom_span *loom_span_current(void)
{
    context_stack *const stack = &span_thread_here()->stack;
    const stack_entry *top = top_entry(stack);
    if (top != NULL && top->lazy != NULL) {
        make_lazy(&stack->entries[stack->depth - 1]);
    }
    return top != NULL ? top->handle : NULL;
}
