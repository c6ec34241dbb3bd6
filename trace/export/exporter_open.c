/* SPDX-License-Identifier: Apache-2.0 */
/* Which exporters the options of a processor ask for. */
#include "trace/export/exporter.h"

static loom_status open_main(exporter **out, const loom_span_processor_options *o)
{
    switch (o->exporter) {
    case LOOM_EXPORTER_NONE:
        *out = NULL;
        return LOOM_OK;
    case LOOM_EXPORTER_OTLP_GRPC:
    case LOOM_EXPORTER_OTLP_HTTP:
        return otlp_exporter_open(out, o);
    case LOOM_EXPORTER_CONSOLE:
        return console_exporter_open(out);
    case LOOM_EXPORTER_FILE:
        return file_exporter_open(out, o->endpoint != NULL ? o->endpoint : LOOM_SPANS_FILE_DEFAULT);
    }
    return LOOM_EINVAL;
}

loom_status exporters_open(exporter **main, exporter **also, const loom_span_processor_options *o)
{
    *also = NULL;
    loom_status st = open_main(main, o);
    if (st != LOOM_OK || o->also_file == NULL) {
        return st;
    }
    st = file_exporter_open(*main != NULL ? also : main, o->also_file);
    if (st != LOOM_OK) {
        exporter_close(*main);
        *main = NULL;
    }
    return st;
}
