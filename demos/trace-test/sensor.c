/* SPDX-License-Identifier: Apache-2.0 */
/* The first of three agents: takes a reading every now and then, and emits it inside a span of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "demos/common/demo_agent.h"

#define SENSOR_ID "sensor-1"

/* A temperature that goes up and down between 18 and 26 degrees. */
static double measure(long counter)
{
    long step = counter * 7 % 160;
    return 18.0 + (double)(step < 80 ? step : 160 - step) / 10;
}

static void emit_reading(loom_agent *agent, long counter)
{
    char payload[128];
    double value = measure(counter);
    loom_span *span = loom_span_start(loom_agent_tracer(agent), "sensor.emit_data", &(loom_span_options){.root = true});
    loom_span_make_current(span);
    loom_span_set_string(span, "sensor.id", SENSOR_ID);
    loom_span_set_int(span, "data.counter", counter);
    loom_span_set_double(span, "data.value", value);
    snprintf(payload, sizeof payload, "{\"sensor\":\"" SENSOR_ID "\",\"counter\":%ld,\"value\":%.1f}", counter, value);
    loom_status st = loom_agent_emit_text(
        agent, "sensor.data", payload, &(loom_emit_options){.type = "sensor.reading", .content_type = "application/json"});
    if (st != LOOM_OK) {
        fprintf(stderr, "sensor: reading %ld: %s\n", counter, loom_status_text(st));
        loom_span_record_error(span, loom_status_name(st), loom_status_text(st));
    } else {
        printf("reading %ld: %.1f\n", counter, value);
    }
    loom_span_end(span);
}

int main(int argc, char **argv)
{
    long readings = 0, interval = 2000;
    const demo_option known[] = {{"readings", "readings to take; 0: until stopped", 0, 1000000000, &readings, NULL},
                                 {"interval", "milliseconds between two of them", 0, 86400000, &interval, NULL},
                                 {0}};
    const char *url;
    int status;
    if (!demo_options(argc, argv, "Emits sensor.data, a reading every interval.", known, &url, &status)) {
        return status;
    }
    loom_agent *agent = demo_open(&(loom_agent_options){.id = "sensor", .url = url});
    if (agent == NULL) {
        return EXIT_FAILURE;
    }
    for (long counter = 1; readings == 0 || counter <= readings; counter++) {
        if (!demo_wait_ms(counter == 1 ? 0 : interval)) {
            break;
        }
        emit_reading(agent, counter);
    }
    return demo_close(agent);
}
