/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"

enum { READ_SIZE = 64 * 1024 };

/* One byte of a delimiter at *at. */
static bool read_byte(const char **at, uint8_t *out)
{
    static const char letters[] = "nrt0\\", bytes[] = "\n\r\t\0\\";
    const char *p = *at;
    if (p[0] != '\\') {
        *out = (uint8_t)p[0];
        *at = p + 1;
        return true;
    }
    const char *found = p[1] != '\0' ? strchr(letters, p[1]) : NULL;
    if (found != NULL) {
        *out = (uint8_t)bytes[found - letters];
        *at = p + 2;
        return true;
    }
    *at = p + 4;
    return p[1] == 'x' && p[2] != '\0' && p[3] != '\0' && hex_decode_any_case(out, p + 2, 1);
}

bool record_reader_init(record_reader *r, int fd, const char *delimiter, size_t max)
{
    *r = (record_reader){.fd = fd, .max = max};
    bool good = true;
    while (good && *delimiter != '\0' && r->delimiter_len < RECORD_DELIMITER_MAX) {
        good = read_byte(&delimiter, &r->delimiter[r->delimiter_len]);
        r->delimiter_len++;
    }
    return good && *delimiter == '\0' && r->delimiter_len > 0;
}

void record_reader_fini(record_reader *r)
{
    free(r->data);
    r->data = NULL;
}

static bool find(record_reader *r, loom_bytes *out)
{
    const uint8_t *from = r->data + r->scanned;
    const uint8_t *at = r->end > r->scanned ? memmem(from, r->end - r->scanned, r->delimiter, r->delimiter_len) : NULL;
    if (at == NULL) {
        const size_t waiting = r->end - r->begin, tail = r->delimiter_len - 1; /* a delimiter may have begun */
        r->scanned = waiting > tail ? r->end - tail : r->begin;
        return false;
    }
    *out = (loom_bytes){r->data + r->begin, (size_t)(at - (r->data + r->begin))};
    r->begin = r->scanned = (size_t)(at - r->data) + r->delimiter_len;
    return true;
}

static bool make_room(record_reader *r)
{
    if (r->begin > 0) {
        memmove(r->data, r->data + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->scanned -= r->begin;
        r->begin = 0;
    }
    if (r->cap - r->end < READ_SIZE) {
        const size_t cap = 2 * r->cap + READ_SIZE;
        uint8_t *grown = realloc(r->data, cap);
        if (grown == NULL) {
            r->error = ENOMEM;
            return false;
        }
        r->data = grown;
        r->cap = cap;
    }
    return true;
}

static record_news read_more(record_reader *r, interrupt *i)
{
    if (!make_room(r)) {
        return RECORD_FAILED;
    }
    ssize_t got;
    do {
        if (interrupt_wait(i, r->fd, UINT64_MAX) == INTERRUPT_SIGNAL) {
            return RECORD_INTERRUPTED;
        }
        got = read(r->fd, r->data + r->end, READ_SIZE);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    if (got < 0) {
        r->error = errno;
        return RECORD_FAILED;
    }
    r->ended = got == 0;
    r->end += (size_t)got;
    return RECORD_READ;
}

record_news record_next(record_reader *r, interrupt *i, loom_bytes *out)
{
    while (!find(r, out)) {
        if (r->end - r->begin > r->max + r->delimiter_len) {
            return RECORD_TOO_LONG;
        }
        if (r->ended && r->begin == r->end) {
            return RECORD_END;
        }
        if (r->ended) {
            *out = (loom_bytes){r->data + r->begin, r->end - r->begin};
            r->begin = r->scanned = r->end;
            break;
        }
        const record_news news = read_more(r, i);
        if (news != RECORD_READ) {
            return news;
        }
    }
    return out->len > r->max ? RECORD_TOO_LONG : RECORD_READ;
}
