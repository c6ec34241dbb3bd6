/* SPDX-License-Identifier: Apache-2.0 */
/* What the tracer tells: records in the ring, each with parts behind it. Memory of the two processes, never on a wire; but what
 * parts hold comes from the traced programs, and is checked by who decodes it. */
#ifndef LOOM_TRACE_PROCESS_EVENT_H
#define LOOM_TRACE_PROCESS_EVENT_H

#include "trace/process/syscalls/table.h"

typedef enum event_type {
    EVENT_CALL,    /* a call that ended, or that never returns (exit) */
    EVENT_PROCESS, /* a process has begun; args[0]: its parent */
    EVENT_EXEC,    /* it runs another program */
    EVENT_EXIT     /* result: its wait status */
} event_type;

typedef struct event {
    uint32_t size;  /* of the record with its parts; first, and never 0 */
   
    uint8_t type;   /* event_type */
    uint8_t parts;
    uint16_t number; /* of the call */
    int32_t pid, tid;
    uint64_t start_ns, end_ns; /* monotonic */
    int64_t result;            /* of the call: below 0 and from -4095, an error */
    uint64_t args[SYSCALL_ARGS_MAX];
} event;

typedef enum part_kind {
    PART_PATH,      /* of argument `arg` */
    PART_FD,        /* where the descriptor that is argument `arg` leads */
    PART_ADDRESS,   /* struct sockaddr */
    PART_OPEN_HOW,  /* struct open_how */
    PART_TIME,      /* uint64_t, nanoseconds */
    PART_ARGV,      /* strings, each with its NUL */
    PART_EXECUTABLE,
    PART_DIRECTORY, /* where the process is */
    PART_FILE,      /* of the source */
    PART_FUNCTION,
    PART_LINE       /* uint32_t line, uint32_t column */
} part_kind;

/* In front of each part; the next one begins at the next multiple of 4. */
typedef struct event_part {
    uint16_t len;
    uint8_t kind; /* part_kind */
    uint8_t arg;
} event_part;

enum { EVENT_SIZE_MAX = 16 * 1024, EVENT_TEXT_MAX = 4096 };

/* The part behind this one; begin with NULL. NULL: it was the last. */
static inline const event_part *event_next_part(const event *e, const event_part *part)
{
    const uint8_t *const end = (const uint8_t *)e + e->size;
    const uint8_t *at = part == NULL ? (const uint8_t *)(e + 1)
                                     : (const uint8_t *)(part + 1) + ((part->len + 3u) & ~3u);
    if (e->parts == 0 || at + sizeof(event_part) > end) {
        return NULL;
    }
    const event_part *next = (const event_part *)(const void *)at;
    return next->len == 0 || at + sizeof *next + next->len > end ? NULL : next;
}

/* The first part of that kind, or NULL. */
static inline const event_part *event_find_part(const event *e, part_kind kind)
{
    const event_part *part = event_next_part(e, NULL);
    while (part != NULL && part->kind != kind) {
        part = event_next_part(e, part);
    }
    return part;
}

static inline loom_str event_part_text(const event_part *part)
{
    return (loom_str){(const char *)(part + 1), part->len};
}

/* The text of the first path, or none. */
static inline loom_str event_path(const event *e)
{
    const event_part *part = event_find_part(e, PART_PATH);
    return part != NULL ? event_part_text(part) : (loom_str){0};
}

#endif
