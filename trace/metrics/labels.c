/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/metrics/name.h"

#include "base/str.h"
#include "base/utf8.h"
#include "trace/otlp/json_attr.h"

#define LABEL_NAME_SIZE 256 /* bytes; longer keys are cut */

static void put(pb_buf *out, const char *literal)
{
    pb_raw(out, literal, strlen(literal));
}

void metric_escaped(pb_buf *out, loom_str text, bool quotes)
{
    while (text.len > 0 && !out->failed) {
        uint32_t code_point;
        const size_t step = utf8_next(text, &code_point);
        if (code_point == UTF8_INVALID) {
            put(out, "\xef\xbf\xbd");
        } else if (code_point == '\n') {
            put(out, "\\n");
        } else {
            if (code_point == '\\' || (quotes && code_point == '"')) {
                put(out, "\\");
            }
            pb_raw(out, text.data, step);
        }
        text = str_tail(text, step);
    }
}

/* [a-zA-Z_][a-zA-Z0-9_]*; names that begin with two underscores are Prometheus' own. */
static void label_name(char out[LABEL_NAME_SIZE], const char *key, bool histogram)
{
    size_t used = 0;
    if (key[0] >= '0' && key[0] <= '9') {
        out[used++] = '_';
    }
    for (; *key != '\0' && used + 2 < LABEL_NAME_SIZE; key++) {
        const bool fine = (*key >= 'a' && *key <= 'z') || (*key >= 'A' && *key <= 'Z') || (*key >= '0' && *key <= '9');
        if (fine || used == 0 || out[used - 1] != '_') {
            out[used++] = fine ? *key : '_';
        }
    }
    out[used] = '\0';
    if (histogram && strcmp(out, "le") == 0) {
        memcpy(out, "le_", sizeof "le_");
    }
}

/* Not escaped yet; a string without quotes. */
static void put_value(pb_buf *out, const loom_attr *attr)
{
    if (attr->type == LOOM_ATTR_STRING) {
        pb_raw(out, attr->value.string.data, attr->value.string.len);
    } else {
        json_put_attr_value(out, attr);
    }
}

static void put_escaped_value(pb_buf *out, const loom_attr *attr)
{
    pb_buf value;
    pb_init(&value, NULL, 0, out->max);
    put_value(&value, attr);
    out->failed = out->failed || value.failed;
    metric_escaped(out, (loom_str){(const char *)value.data, value.len}, true);
    pb_fini(&value);
}

void metric_labels(pb_buf *out, const loom_attr *attrs, size_t count, bool histogram)
{
    char name[LABEL_NAME_SIZE], other[LABEL_NAME_SIZE];
    for (size_t i = 0; i < count; i++) {
        bool first = true;
        label_name(name, attrs[i].key, histogram);
        for (size_t k = 0; k < i && first; k++) {
            label_name(other, attrs[k].key, histogram);
            first = strcmp(name, other) != 0;
        }
        if (!first) {
            continue; /* joined to the one before */
        }
        put(out, out->len > 0 ? "," : "");
        put(out, name);
        put(out, "=\"");
        put_escaped_value(out, &attrs[i]);
        for (size_t k = i + 1; k < count; k++) {
            label_name(other, attrs[k].key, histogram);
            if (strcmp(name, other) == 0) {
                put(out, ";");
                put_escaped_value(out, &attrs[k]);
            }
        }
        put(out, "\"");
    }
}
