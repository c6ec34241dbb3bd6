/* SPDX-License-Identifier: Apache-2.0 */
/* Strings, attributes and values of OTLP/JSON. */
#ifndef LOOM_TRACE_OTLP_JSON_VALUE_H
#define LOOM_TRACE_OTLP_JSON_VALUE_H

#include "trace/otlp/json.h"
#include "trace/otlp/read.h"

/* ,"attributes":[ … ] with json_put_attr() as the visitor between; an empty list leaves nothing. */
void json_put_attrs_open(pb_buf *out);
void json_put_attrs_close(pb_buf *out);
/* One {"key":…,"value":{…}}, after a comma unless it is the first behind a bracket. out is a pb_buf. */
bool json_put_attr(void *out, otlp_attr attr);

#endif
