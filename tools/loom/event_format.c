/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/event_format.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/rfc3339.h"
#include "base/str.h"
#include "tools/loom/event_json.h"
#include "trace/view/text.h"

#define VERBS "tpiyxsCbdhlcJrIUTn%"

/* What is printed, and where. */
typedef struct printing {
    FILE *out;
    const loom_envelope *event;
    const char *trace_id;
    uint64_t number;
    bool harmless;
} printing;

static void put(const printing *p, loom_str text)
{
    if (p->harmless) {
        text_put(p->out, text, SIZE_MAX);
    } else if (text.len > 0) {
        fwrite(text.data, 1, text.len, p->out);
    }
}

/* The byte behind a backslash, at *at, which is moved behind it. False: none is meant. */
static bool read_escape(const char **at, char *out)
{
    static const char letters[] = "ntr0e\\", bytes[] = "\n\t\r\0\033\\";
    const char *found = **at != '\0' ? strchr(letters, **at) : NULL;
    if (found != NULL) {
        *out = bytes[found - letters];
        (*at)++;
        return true;
    }
    uint8_t byte;
    if ((*at)[0] == 'x' && (*at)[1] != '\0' && (*at)[2] != '\0' && hex_decode_any_case(&byte, *at + 1, 1)) {
        *out = (char)byte;
        *at += 3;
        return true;
    }
    return false;
}

loom_status event_format_parse(event_format *f, const char *text, char why[EVENT_FORMAT_ERROR_SIZE])
{
    *f = (event_format){.text = text};
    for (const char *at = text; *at != '\0';) {
        const char c = *at++;
        char byte;
        f->ends_itself = false;
        if (c == '\\' && at[0] == 'c' && at[1] == '\0') {
            f->ends_itself = true;
            at++;
        } else if (c == '\\' && read_escape(&at, &byte)) {
            f->ends_itself = byte == '\n' || byte == '\0';
        } else if (c == '\\') {
            snprintf(why, EVENT_FORMAT_ERROR_SIZE, "\"\\%.1s\" is no escape: there are \\n \\t \\r \\0 \\e \\\\ \\xHH, and \\c at the end", at);
            return LOOM_EINVAL;
        } else if (c == '%' && *at == '{') {
            const char *close = strchr(at, '}');
            if (close == NULL || close == at + 1) {
                snprintf(why, EVENT_FORMAT_ERROR_SIZE, "\"%%%.40s\": write %%{NAME} for a header", at);
                return LOOM_EINVAL;
            }
            at = close + 1;
        } else if (c == '%') {
            if (*at == '\0' || strchr(VERBS, *at) == NULL) {
                snprintf(why, EVENT_FORMAT_ERROR_SIZE, "\"%%%.1s\" stands for nothing; --help lists what there is", at);
                return LOOM_EINVAL;
            }
            at++;
        }
    }
    return LOOM_OK;
}

static bool put_header(void *user, loom_header header)
{
    const printing *p = ((void **)user)[0];
    bool *any = ((void **)user)[1];
    put(p, str_of(*any ? "," : ""));
    put(p, header.key);
    put(p, str_of("="));
    put(p, header.value);
    *any = true;
    return true;
}

static void put_hex(const printing *p, loom_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char digits[2];
        hex_encode(digits, &bytes.data[i], 1);
        fwrite(digits, 1, sizeof digits, p->out);
    }
}

static void put_base64(const printing *p, loom_bytes bytes)
{
    const size_t size = sodium_base64_ENCODED_LEN(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(size);
    if (text != NULL) {
        fputs(sodium_bin2base64(text, size, bytes.data, bytes.len, sodium_base64_VARIANT_ORIGINAL), p->out);
        free(text);
    }
}

static void put_iso_time(const printing *p, uint64_t unix_ns)
{
    char text[RFC3339_SIZE];
    fwrite(text, 1, rfc3339_put(text, unix_ns, 3), p->out);
}

static void put_all_headers(const printing *p)
{
    bool any = false;
    void *both[] = {(void *)(uintptr_t)p, &any};
    loom_envelope_headers(p->event, put_header, both);
}

static void put_verb(const printing *p, char verb)
{
    const loom_envelope *e = p->event;
    const loom_bytes payload = loom_envelope_payload(e);
    const uint64_t at = loom_envelope_timestamp_unix_ns(e);
    char uuid[LOOM_UUID_TEXT_SIZE], reply[LOOM_REPLY_TO_SIZE];
    switch (verb) {
    case 't': put(p, loom_envelope_topic(e)); break;
    case 'y': put(p, loom_envelope_type(e)); break;
    case 's': put(p, loom_envelope_sender(e)); break;
    case 'C': put(p, loom_envelope_content_type(e)); break;
    case 'd': put(p, loom_envelope_thread_id(e, uuid)); break;
    case 'c': put(p, loom_envelope_correlation_id(e, uuid)); break;
    case 'r': put(p, loom_envelope_reply_to(e, reply)); break;
    case 'i':
        loom_envelope_id_text(e, uuid);
        put(p, str_of(uuid));
        break;
    case 'T': put(p, str_of(p->trace_id)); break;
    case 'p': put(p, (loom_str){(const char *)payload.data, payload.len}); break;
    case 'x': put_hex(p, payload); break;
    case 'b': put_base64(p, payload); break;
    case 'l': fprintf(p->out, "%zu", payload.len); break;
    case 'n': fprintf(p->out, "%" PRIu64, p->number); break;
    case 'I': put_iso_time(p, at); break;
    case 'U': fprintf(p->out, "%" PRIu64 ".%09" PRIu64, at / 1000000000u, at % 1000000000u); break;
    case 'h': put_all_headers(p); break;
    case 'J': json_print(p->out, event_to_json(e, p->trace_id)); break;
    default: fputc(verb, p->out); break;
    }
}

/* The header that is named from at to the brace. */
static void put_one_header(const printing *p, const char *at, size_t len)
{
    char name[LOOM_HEADERS_MAX < 512 ? LOOM_HEADERS_MAX : 512];
    loom_str value;
    snprintf(name, sizeof name, "%.*s", (int)len, at);
    if (loom_envelope_header(p->event, name, &value) == LOOM_OK) {
        put(p, value);
    }
}

void event_format_print(const event_format *f, FILE *out, const loom_envelope *event, const char *trace_id, uint64_t number, bool harmless)
{
    const printing p = {out, event, trace_id, number, harmless};
    for (const char *at = f->text; *at != '\0';) {
        const char c = *at++;
        char byte;
        if (c == '\\' && read_escape(&at, &byte)) {
            fputc(byte, out);
        } else if (c == '\\') {
            break; /* \c at the end */
        } else if (c == '%' && *at == '{') {
            const char *close = strchr(at, '}');
            put_one_header(&p, at + 1, (size_t)(close - at) - 1);
            at = close + 1;
        } else if (c == '%') {
            put_verb(&p, *at++);
        } else {
            fputc(c, out);
        }
    }
    if (!f->ends_itself) {
        fputc('\n', out);
    }
}
