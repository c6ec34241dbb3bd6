/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/agent/options.h"

#include <string.h>

#include <loom/topic.h>

#include "base/last_error.h"
#include "base/str.h"
#include "sdk-c/events/subscriptions.h"
#include "sdk-c/link/url.h"

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
    return last_error(LOOM_EINVAL, "agent id \"%.60s\": %s", text.len > 0 ? id : "", reason);
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
        return last_error(LOOM_EINVAL, "url \"%.100s\": %s", shown, why);
    }
    for (size_t i = 0; options->topics != NULL && options->topics[i] != NULL; i++) {
        const char *reason;
        if (subscription_check(options->topics[i], NULL, &reason) != LOOM_OK) {
            return last_error(LOOM_EINVAL, "topic \"%.100s\": %s", options->topics[i], reason);
        }
        if (options->on_event == NULL) {
            return last_error(LOOM_EINVAL, "topic \"%.100s\": there is no on_event to handle it", options->topics[i]);
        }
    }
    return LOOM_OK;
}
