/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/agent/options.h"

#include <stdio.h>
#include <stdlib.h>
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

static loom_status check_url(const char *text, size_t len, url *to)
{
    char one[URL_MAX], shown[URL_SHOWN_SIZE], why[URL_ERROR_SIZE] = "it is longer than 1023 bytes";
    const bool fits = len < sizeof one;
    snprintf(one, sizeof one, "%.*s", (int)(fits ? len : sizeof one - 1), text);
    if (fits && url_parse(to, one, URL_LINKS | URL_DIAL, why) == LOOM_OK) {
        return LOOM_OK;
    }
    url_show(shown, one); /* somebody may have put a password in */
    return last_error(LOOM_EINVAL, "url \"%.100s\": %s", shown, why);
}

/* Separated by commas, which stand in none of ours. */
static loom_status check_urls(const char *text, url **urls, unsigned *count)
{
    *count = 1;
    for (const char *at = text; (at = strchr(at, ',')) != NULL; at++) {
        ++*count;
    }
    if (*count > AGENT_URLS_MAX) {
        return last_error(LOOM_EINVAL, "url: there are %u, and at most %d may be named", *count, AGENT_URLS_MAX);
    }
    *urls = calloc(*count, sizeof **urls);
    loom_status st = *urls != NULL ? LOOM_OK : LOOM_ENOMEM;
    for (unsigned i = 0; st == LOOM_OK && i < *count; i++) {
        text += strspn(text, " ");
        const size_t len = strcspn(text, ","), blank = len > 0 && text[len - 1] == ' ' ? 1 : 0;
        st = check_url(text, len - blank, &(*urls)[i]);
        text += len + 1;
    }
    return st;
}

static const char *chosen_url(const loom_agent_options *options, char fallback[URL_MAX])
{
    if (options->url != NULL) {
        return options->url;
    }
    const char *named = getenv("LOOM_URL");
    if (named != NULL && named[0] != '\0') {
        return named;
    }
    link_url_default(fallback);
    return fallback;
}

loom_status agent_options_check(const loom_agent_options *options, url **urls, unsigned *count)
{
    char fallback[URL_MAX];
    if (check_id(options->id) != LOOM_OK) {
        return LOOM_EINVAL;
    }
    const loom_status st = check_urls(chosen_url(options, fallback), urls, count);
    if (st != LOOM_OK) {
        return st;
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
