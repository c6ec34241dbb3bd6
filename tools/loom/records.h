/* SPDX-License-Identifier: Apache-2.0 */
/* A stream cut into records at a delimiter, each given out as soon as it is whole. */
#ifndef LOOM_TOOLS_RECORDS_H
#define LOOM_TOOLS_RECORDS_H

#include <loom/status.h>

#include "tools/loom/interrupt.h"

enum { RECORD_DELIMITER_MAX = 16 };

typedef struct record_reader {
    int fd;      /* borrowed */
    uint8_t delimiter[RECORD_DELIMITER_MAX];
    size_t delimiter_len;
    size_t max;  /* bytes of a record */
    uint8_t *data;
    size_t begin, scanned, end, cap; /* of data: no delimiter begins before scanned */
    bool ended;
    int error;   /* errno of RECORD_FAILED */
} record_reader;

typedef enum record_news { RECORD_READ, RECORD_END, RECORD_INTERRUPTED, RECORD_TOO_LONG, RECORD_FAILED } record_news;

/* delimiter: text in which \n, \r, \t, \0, \\ and \xHH stand for bytes. False: it makes no sense, or is too long. */
bool record_reader_init(record_reader *r, int fd, const char *delimiter, size_t max);
void record_reader_fini(record_reader *r);
/* The next record without its delimiter, valid until the next call. Bytes behind the last delimiter are a record, too. */
record_news record_next(record_reader *r, interrupt *i, loom_bytes *out);

#endif
