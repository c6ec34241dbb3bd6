/* SPDX-License-Identifier: Apache-2.0 */
/* Doubles as text, whatever the program's locale: the C library writes the decimal separator of LC_NUMERIC, and JSON,
 * Prometheus and people who grep want a point. */
#ifndef LOOM_BASE_DECIMAL_H
#define LOOM_BASE_DECIMAL_H

#include <loom/api.h>

#define DECIMAL_SIZE 48 /* bytes, NUL included */

/* The shortest text of 15 to 17 digits that reads back as value, which is finite: a number of JSON (RFC 8259, 6). Returns the
 * length; out ends with a NUL. Any thread. */
size_t decimal_put(char out[DECIMAL_SIZE], double value);

#endif
