/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/otlp/json_attr.h"

#include "base/number.h"
#include "trace/otlp/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void put(pb_buf *out, const char *literal)
{
    pb_raw(out, literal, strlen(literal));
}

void json_put_double(pb_buf *out, double value)
{
    char text[NUMBER_SIZE];
    if (isfinite(value)) {
        pb_raw(out, text, number_format_shortest(text, value));
    } else {
        put(out, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    }
}

static void put_bool(pb_buf *out, bool value)
{
    put(out, value ? "true" : "false");
}

static void put_item(pb_buf *out, loom_attr_type type, const void *items, size_t i)
{
    switch (type) {
    case LOOM_ATTR_STRINGS:
        json_put_string(out, ((const loom_str *)items)[i]);
        break;
    case LOOM_ATTR_BOOLS:
        put_bool(out, ((const bool *)items)[i]);
        break;
    case LOOM_ATTR_INTS:
        json_put_format(out, "%" PRId64, ((const int64_t *)items)[i]);
        break;
    default:
        json_put_double(out, ((const double *)items)[i]);
        break;
    }
}

static void put_array(pb_buf *out, const loom_attr *attr)
{
    const void *items = attr->value.array.items;
    put(out, "[");
    for (size_t i = 0; items != NULL && i < attr->value.array.count && !out->failed; i++) {
        put(out, i > 0 ? "," : "");
        put_item(out, attr->type, items, i);
    }
    put(out, "]");
}

void json_put_attr_value(pb_buf *out, const loom_attr *attr)
{
    switch (attr->type) {
    case LOOM_ATTR_STRING:
        json_put_string(out, attr->value.string);
        return;
    case LOOM_ATTR_BOOL:
        put_bool(out, attr->value.boolean);
        return;
    case LOOM_ATTR_INT:
        json_put_format(out, "%" PRId64, attr->value.integer);
        return;
    case LOOM_ATTR_DOUBLE:
        json_put_double(out, attr->value.real);
        return;
    case LOOM_ATTR_STRINGS:
    case LOOM_ATTR_BOOLS:
    case LOOM_ATTR_INTS:
    case LOOM_ATTR_DOUBLES:
        put_array(out, attr);
        return;
    }
    put(out, "null");
}
