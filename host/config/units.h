/* SPDX-License-Identifier: Apache-2.0 */
/* Durations and sizes as people write them, and texts quoted as TOML and JSON both read them. */
#ifndef LOOM_HOST_CONFIG_UNITS_H
#define LOOM_HOST_CONFIG_UNITS_H

#include <loom/api.h>
#include <stdio.h>

#define CONFIG_UNITS_SIZE 24 /* bytes of a formatted number, unit and NUL */

/* A decimal number and ms, s, m or h ("1.5s"); a bare 0 is allowed. Milliseconds; false when it is none, or over 2^53. */
bool config_parse_duration(int64_t *out_ms, loom_str text);
/* A decimal number and nothing, B, KiB, MiB or GiB. Bytes; false when it is none, or over 2^53. */
bool config_parse_size(int64_t *out_bytes, loom_str text);
/* An optional sign and digits that fit. */
bool config_parse_int(int64_t *out, loom_str text);
/* A finite decimal number. */
bool config_parse_double(double *out, loom_str text);
/* true/false, yes/no, on/off, 1/0. */
bool config_parse_bool(bool *out, loom_str text);

/* The shortest exact way to write it, such as "5s" or "8MiB". */
void config_format_duration(char out[CONFIG_UNITS_SIZE], int64_t ms);
void config_format_size(char out[CONFIG_UNITS_SIZE], int64_t bytes);

/* A basic string in quotes, valid both as JSON (RFC 8259, 7) and TOML; bytes that are no UTF-8 become U+FFFD. */
void config_print_quoted(FILE *out, loom_str text);
/* One character of text as it stands in such a string, NUL-terminated; returns how many bytes of text it was. */
#define CONFIG_QUOTED_CHAR_SIZE 8
size_t config_quote_char(char out[CONFIG_QUOTED_CHAR_SIZE], const char *text, size_t left);
/* The same into memory: appends at *used, never beyond size; false when it did not fit (and nothing is appended). */
bool config_append_quoted(char *out, size_t size, size_t *used, loom_str text);

#endif
