/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/bus_client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/runtime_dir.h"
#include "base/str.h"
#include "base/url.h"
#include "tools/loom/context.h"

enum { CLOSE_MS = 5000, FLUSH_MS = 1000 };

static void on_error(loom_agent *agent, loom_status why, const char *text, void *user)
{
    (void)agent;
    bus_client *client = user;
    if (why == LOOM_EIO && client->tracing.provider == NULL) {
        return; /* the agent finds the telemetry wanting that open_tracing() has reported */
    }
    if (client->refused == LOOM_OK && why != LOOM_EIO) { /* EIO: traces cannot be exported, which fails nothing */
        client->refused = why;
    }
    fprintf(stderr, "loom: %s (%s)\n", text, loom_status_name(why));
}

static void on_bad_variable(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "loom: %s\n", text);
}

/* Nobody at the default address, and no other was named, is how most begin: told once in this user's session, of which a file in
 * the runtime directory reminds later commands. */
static bool no_receiver_is_news(void)
{
    char folder[PATHS_DIR_SIZE], path[PATHS_DIR_SIZE + 32];
    paths_runtime_dir(folder);
    (void)snprintf(path, sizeof path, "%s/no-collector-told", folder);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    const bool news = fd >= 0 || errno != EEXIST;
    if (fd >= 0) {
        close(fd);
    }
    return news;
}

/* From the exporter's thread. The command has done its work, but the trace id it prints will be found nowhere. */
static void on_export_error(void *user, const char *text)
{
    bus_client *client = user;
    if (!atomic_exchange(&client->export_failed, true)) {
        fprintf(stderr, "loom: the trace is not exported: %s\n", text);
    }
}

static void on_nobody_listens(void *user, const char *text)
{
    if (no_receiver_is_news()) {
        on_export_error(user, text);
    }
}

static void open_tracing(bus_client *client, const char *service)
{
    const loom_sampler never = {.kind = LOOM_SAMPLER_ALWAYS_OFF};
    loom_span_processor_options from_env;
    loom_span_processor_options_from_env(&from_env, NULL);
    loom_telemetry_check_env(on_bad_variable, NULL);
    from_env.on_error = on_export_error;
    from_env.on_absent = on_nobody_listens;
    from_env.user = client;
    const loom_status st = tracing_open(&client->tracing, &from_env,
                                        &(tracing_identity){.service = service, .name = "loom-cli", .masked = client->command->masks_spans,
                                                            .sampler = client->untraced ? &never : NULL});
    if (st == LOOM_ENOMEM) { /* on_export_error() was told of all else */
        on_export_error(client, loom_status_text(st));
    }
}

static void close_tracing(bus_client *client)
{
    tracing_flush(&client->tracing, FLUSH_MS);
    tracing_close(&client->tracing);
}

static const char *identity(void)
{
    const char *name = getenv("LOOM_IDENTITY");
    return name != NULL && name[0] != '\0' ? name : "loom";
}

void bus_client_make_id(char id[LOOM_AGENT_ID_MAX + 1], const char *name)
{
    const char *who = context_is_name(identity()) ? identity() : "loom";
    uint8_t random[LOOM_SPAN_ID_SIZE];
    char hex[LOOM_SPAN_ID_HEX_SIZE];
    loom_span_id_generate(random);
    loom_span_id_to_hex(hex, random);
    snprintf(id, LOOM_AGENT_ID_MAX + 1, "%s-%s-%d-%.6s", who, name, (int)getpid(), hex);
}

/* Where the agent will connect to, without a password. */
static void set_address(bus_client *client, const char *wanted)
{
    char standard[BUS_ADDRESS_SIZE], shown[URL_SHOWN_SIZE];
    const char *named = wanted != NULL ? wanted : getenv("LOOM_URL");
    if (named == NULL || named[0] == '\0') {
        named = paths_runtime_url(standard, sizeof standard, "loom.sock") == LOOM_OK ? standard : "the default address";
    }
    url_show(shown, named);
    snprintf(client->address, sizeof client->address, "%s", shown);
}

static bool read_patience(const command *c, const options *o, uint32_t *ms, int *exit_code)
{
    const char *wait = options_value(o, "wait");
    uint64_t ns = 0;
    if (wait != NULL && (!duration_parse(&ns, str_of(wait)) || ns / 1000000 > UINT32_MAX)) {
        *exit_code = command_misuse(c, "--wait must be a duration such as 500ms, 5s or 1m, not \"%s\"", wait);
        return false;
    }
    *ms = (uint32_t)(ns / 1000000);
    return true;
}

static void free_client(bus_client *client)
{
    bus_state_fini(&client->link);
    if (client->wake_fd >= 0) {
        close(client->wake_fd);
    }
}

/* The agent, and its tracing. */
static void give_up(bus_client *client)
{
    (void)loom_agent_close_within(client->agent, 0);
    close_tracing(client);
    free_client(client);
}

bool bus_client_open(bus_client *client, const command *c, const options *o, const char *name,
                     const loom_agent_options *agent, int *exit_code)
{
    uint32_t patience_ms;
    client->command = c;
    client->user = agent->user;
    if (!read_patience(c, o, &patience_ms, exit_code)) {
        return false;
    }
    if (!context_is_name(identity())) {
        *exit_code = command_misuse(c, "LOOM_IDENTITY \"%s\": a name has letters, digits, dots, dashes", identity());
        return false;
    }
    bus_client_make_id(client->id, name);
    bus_state_init(&client->link);
    client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    open_tracing(client, options_value(o, "service"));
    loom_agent_options with = *agent;
    with.id = options_value(o, "id") != NULL ? options_value(o, "id") : client->id;
    with.quiet = agent->quiet && options_value(o, "id") == NULL; /* who has a name wants to be known */
    with.user = client;
    with.url = options_value(o, "url");
    with.on_error = on_error;
    with.on_state = bus_on_state;
    with.telemetry = client->tracing.provider;
    set_address(client, with.url);
    loom_status st = loom_agent_open(&client->agent, &with);
    if (st != LOOM_OK) {
        *exit_code = bus_client_explain(client, st == LOOM_EIO ? LOOM_EFULL : st, "%s", loom_agent_open_error());
    } else {
        *exit_code = bus_connect(client, patience_ms);
    }
    if (*exit_code != VERB_OK) {
        give_up(client);
        return false;
    }
    return true;
}

int bus_client_close(bus_client *client)
{
    loom_status st = loom_agent_close_within(client->agent, CLOSE_MS);
    if (st != LOOM_OK) {
        command_fail(client->command, "some messages were not sent: %s", loom_status_text(st));
    }
    close_tracing(client);
    free_client(client);
    return verb_exit_of(st != LOOM_OK ? st : client->refused);
}

const char *bus_client_reason(loom_status st)
{
    const char *sentence = st == LOOM_EINVAL || st == LOOM_ETOOBIG || st == LOOM_ETIMEDOUT ? loom_last_error() : "";
    return sentence[0] != '\0' ? sentence : loom_status_text(st);
}
