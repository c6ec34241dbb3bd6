/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/agent/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <loom/topic.h>

#include "base/str.h"
#include "sdk-c/events/subscriptions.h"
#include "sdk-c/link/url.h"

static _Thread_local char open_error[320];

void agent_open_error_clear(void)
{
    open_error[0] = '\0';
}

void agent_open_error_set(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(open_error, sizeof open_error, format, args);
    va_end(args);
}

const char *loom_agent_open_error(void)
{
    return open_error;
}

static loom_status check_id(const char *id)
{
    const char *reason = "it is missing";
    loom_str text = {id, id != NULL ? strlen(id) : 0};
    if (text.len > LOOM_AGENT_ID_MAX) {
        reason = "it is over 128 bytes";
    } else if (text.len > 0 && memchr(id, '.', text.len) != NULL) {
        reason = "it holds a dot, and has to be one segment of a topic";
    } else if (text.len > 0 && loom_topic_check(text, &reason) == LOOM_OK) {
        return LOOM_OK;
    }
    agent_open_error_set("agent id \"%.60s\": %s", text.len > 0 ? id : "", reason);
    return LOOM_EINVAL;
}

loom_status agent_options_check(const loom_agent_options *options, url *to)
{
    char default_url[URL_MAX], why[URL_ERROR_SIZE];
    const char *text = options->url;
    if (check_id(options->id) != LOOM_OK) {
        return LOOM_EINVAL;
    }
    if (text == NULL) {
        link_url_default(default_url);
        text = default_url;
    }
    if (url_parse(to, text, URL_LINKS | URL_DIAL, why) != LOOM_OK) {
        char shown[URL_SHOWN_SIZE]; /* somebody may have put a password in */
        url_show(shown, text);
        agent_open_error_set("url \"%.100s\": %s", shown, why);
        return LOOM_EINVAL;
    }
    for (size_t i = 0; options->topics != NULL && options->topics[i] != NULL; i++) {
        const char *reason;
        if (subscription_check(options->topics[i], NULL, &reason) != LOOM_OK) {
            agent_open_error_set("topic \"%.100s\": %s", options->topics[i], reason);
            return LOOM_EINVAL;
        }
        if (options->on_event == NULL) {
            agent_open_error_set("topic \"%.100s\": there is no on_event to handle it", options->topics[i]);
            return LOOM_EINVAL;
        }
    }
    return LOOM_OK;
}
