/* SPDX-License-Identifier: Apache-2.0 */
/* Fractions as text, with a point whatever the program's locale: printf() and strtod() take its decimal separator. */
#ifndef LOOM_BASE_NUMBER_H
#define LOOM_BASE_NUMBER_H

#include <loom/api.h>

#define NUMBER_SIZE 32u /* bytes of what number_format() writes, with the NUL */

/* As "%.*g", with 1 to 17 digits; 17 bring every double back. "inf" and "nan" as printf() has them. Returns its length. */
size_t number_format(char out[NUMBER_SIZE], double value, int digits);
/* The shortest of 15, 16 and 17 digits that reads back as value. */
size_t number_format_shortest(char out[NUMBER_SIZE], double value);
/* As "%.*f", of at most 15 digits before the point and 9 behind it. Larger values are written as number_format() does. */
size_t number_format_fixed(char out[NUMBER_SIZE], double value, int decimals);
/* A finite number, as "-1.5e3": all of text, and nothing around it. What is too small for a double is 0. */
bool number_parse(loom_str text, double *out);
/* Takes what *text begins with: digits, and perhaps a point between two of them. */
bool number_take(loom_str *text, double *out);

#endif
