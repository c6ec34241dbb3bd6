/* SPDX-License-Identifier: Apache-2.0 */
/* Which exporters the options of a processor ask for. */
#include "base/url.h"
#include "trace/export/curl_library.h"
#include "trace/export/exporter.h"
#include "trace/export/zlib_library.h"

#include <stdio.h>

static void say(const loom_span_processor_options *o, const char *what, const char *name)
{
    char text[URL_SHOWN_SIZE + 100];
    if (o->on_error != NULL && o->complaints != LOOM_COMPLAINTS_NONE) {
        (void)snprintf(text, sizeof text, "%s: %.*s", what, (int)URL_SHOWN_SIZE, name);
        o->on_error(o->user, text);
    }
}

static loom_status open_file(exporter **out, const loom_span_processor_options *o, const char *path)
{
    loom_status st = file_exporter_open(out, path);
    if (st == LOOM_EIO) {
        say(o, "cannot open the spans file", path);
    }
    return st;
}

static loom_status open_otlp(exporter **out, const loom_span_processor_options *o)
{
    char shown[URL_SHOWN_SIZE];
    loom_status st = otlp_exporter_open(out, o);
    if (st == LOOM_EINVAL) {
        url_show(shown, o->endpoint);
        say(o, "the OTLP endpoint is neither an http(s) URL nor host:port", shown);
    } else if (st == LOOM_EIO) {
        say(o, "cannot export", curl_library_problem());
    } else if (st == LOOM_OK && o->gzip && zlib_library_get() == NULL) {
        say(o, "spans are sent without compression", zlib_library_problem());
    }
    return st;
}

static loom_status open_log(exporter **out, const loom_span_processor_options *o)
{
    loom_status st = log_exporter_open(out, o);
    if (st == LOOM_EINVAL) {
        say(o, "these do not say which spans to log", o->log_spans);
    }
    return st;
}

static loom_status open_main(exporter **out, const loom_span_processor_options *o)
{
    switch (o->exporter) {
    case LOOM_EXPORTER_NONE:
        *out = NULL;
        return LOOM_OK;
    case LOOM_EXPORTER_OTLP_GRPC:
    case LOOM_EXPORTER_OTLP_HTTP:
    case LOOM_EXPORTER_OTLP_HTTP_JSON:
        return open_otlp(out, o);
    case LOOM_EXPORTER_CONSOLE:
        return console_exporter_open(out);
    case LOOM_EXPORTER_LINES:
        return lines_exporter_open(out);
    case LOOM_EXPORTER_STDOUT:
        return stdout_exporter_open(out);
    case LOOM_EXPORTER_FILE:
        return open_file(out, o, o->endpoint != NULL ? o->endpoint : LOOM_SPANS_FILE_DEFAULT);
    case LOOM_EXPORTER_CALLBACK:
        return callback_exporter_open(out, o);
    case LOOM_EXPORTER_LINK:
        return link_exporter_open(out);
    }
    return LOOM_EINVAL;
}

static void close_all(exporter **main, exporter *also[EXPORTERS_ALSO_MAX])
{
    for (size_t i = 0; i < EXPORTERS_ALSO_MAX; i++) {
        exporter_close(also[i]);
        also[i] = NULL;
    }
    exporter_close(*main);
    *main = NULL;
}

loom_status exporters_open(exporter **main, exporter *also[EXPORTERS_ALSO_MAX], const loom_span_processor_options *o)
{
    size_t count = 0;
    for (size_t i = 0; i < EXPORTERS_ALSO_MAX; i++) {
        also[i] = NULL;
    }
    loom_status st = open_main(main, o);
    if (st == LOOM_OK && o->also_file != NULL) {
        st = open_file(*main != NULL ? &also[count++] : main, o, o->also_file);
    }
    if (st == LOOM_OK && o->also_stdout) {
        st = stdout_exporter_open(*main != NULL ? &also[count++] : main);
    }
    if (st == LOOM_OK && o->also_console) {
        st = console_exporter_open(*main != NULL ? &also[count++] : main);
    }
    if (st == LOOM_OK && o->also_lines) {
        st = lines_exporter_open(*main != NULL ? &also[count++] : main);
    }
    if (st == LOOM_OK && o->log_spans != NULL) {
        st = open_log(*main != NULL ? &also[count++] : main, o);
    }
    if (st != LOOM_OK) {
        close_all(main, also);
    }
    return st;
}
