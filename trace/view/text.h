/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people. Names and values come from anybody who may send spans, so nothing of them that a terminal would
 * obey is ever printed. */
#ifndef LOOM_TRACE_VIEW_TEXT_H
#define LOOM_TRACE_VIEW_TEXT_H

#include <loom/api.h>
#include <stdio.h>

#define TEXT_DURATION_SIZE 32 /* bytes with NUL */
#define TEXT_TIME_SIZE 40     /* bytes with NUL */

/* Terminal columns of text as text_put() prints it: one per code point. */
size_t text_columns(loom_str text);
/* Prints at most max_columns (the last of them "…" when text is longer); control characters become "·", bytes that are
 * no UTF-8 U+FFFD. Returns the columns printed. */
size_t text_put(FILE *out, loom_str text, size_t max_columns);
/* text_put(), then spaces up to columns. */
void text_put_padded(FILE *out, loom_str text, size_t columns);
/* JSON as jansson writes it: control characters, which can only stand in its strings, become \uXXXX. */
void text_put_json(FILE *out, const char *json);
void text_put_spaces(FILE *out, size_t count);

/* Three significant digits: "0", "850 ns", "12.3 µs", "4.56 ms", "1.23 s", "2 m 03 s", "5 h 20 m", "3 d 04 h". */
void text_duration(char out[TEXT_DURATION_SIZE], uint64_t ns);
/* "2026-11-21 01:32:54.123", in UTC. */
void text_time(char out[TEXT_TIME_SIZE], uint64_t unix_ns);
/* The value of an attribute (an encoded AnyValue), on one line. */
void text_put_value(FILE *out, loom_bytes any_value);

/* Columns of the terminal at fd, at least 60; fallback when it is none. */
size_t text_terminal_columns(int fd, size_t fallback);

#endif
