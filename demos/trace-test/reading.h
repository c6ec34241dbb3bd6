/* SPDX-License-Identifier: Apache-2.0 */
/* The payloads of this demo: JSON objects with numbers. */
#ifndef TRACE_TEST_READING_H
#define TRACE_TEST_READING_H

#include <loom/loom.h>

/* The first is written by the sensor, the second by the processor. */
typedef struct reading {
    long long counter;
    double value;     /* what the sensor measured */
    double processed; /* 1.5 times that; only in what the processor emits */
} reading;

/* LOOM_EMALFORMED: not a JSON object with these numbers. value_key: where the measured value is. */
LOOM_MUST_CHECK loom_status reading_parse(reading *out, loom_bytes json, const char *value_key, const char *processed_key);

#endif
