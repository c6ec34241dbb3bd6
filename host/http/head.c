/* SPDX-License-Identifier: Apache-2.0 */
#include "host/http/head.h"

#include <string.h>
#include <strings.h>

#define REFUSE(status, sentence) (*why = (sentence), (uint16_t)(status))

const char *http_status_name(uint16_t status)
{
    static const struct {
        uint16_t status;
        const char *name;
    } names[] = {
        {101, "Switching Protocols"}, {200, "OK"}, {204, "No Content"}, {400, "Bad Request"}, {403, "Forbidden"},
        {404, "Not Found"}, {405, "Method Not Allowed"}, {408, "Request Timeout"}, {411, "Length Required"},
        {413, "Content Too Large"}, {415, "Unsupported Media Type"}, {417, "Expectation Failed"},
        {426, "Upgrade Required"}, {431, "Request Header Fields Too Large"}, {500, "Internal Server Error"},
        {501, "Not Implemented"}, {503, "Service Unavailable"}, {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].status == status) {
            return names[i].name;
        }
    }
    return "Status";
}

bool http_text_is(loom_str text, const char *expected)
{
    return text.len == strlen(expected) && strncasecmp(text.data, expected, text.len) == 0;
}

/* tchar of RFC 9110, section 5.6.2. */
static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static size_t token_length(loom_str text)
{
    size_t n = 0;
    while (n < text.len && is_token(text.data[n])) {
        n++;
    }
    return n;
}

static loom_str trimmed(loom_str text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

const loom_str *http_head_field(const http_head *h, const char *name)
{
    for (size_t i = 0; i < h->field_count; i++) {
        if (http_text_is(h->fields[i].name, name)) {
            return &h->fields[i].value;
        }
    }
    return NULL;
}

static bool list_holds(loom_str list, const char *token, bool exact)
{
    while (list.len > 0) {
        const char *comma = memchr(list.data, ',', list.len);
        size_t len = comma != NULL ? (size_t)(comma - list.data) : list.len;
        loom_str item = trimmed((loom_str){list.data, len});
        if (http_text_is(item, token) && (!exact || memcmp(item.data, token, item.len) == 0)) {
            return true;
        }
        size_t step = comma != NULL ? len + 1 : len;
        list.data += step;
        list.len -= step;
    }
    return false;
}

bool http_head_lists(const http_head *h, const char *name, const char *token, bool exact)
{
    for (size_t i = 0; i < h->field_count; i++) {
        if (http_text_is(h->fields[i].name, name) && list_holds(h->fields[i].value, token, exact)) {
            return true;
        }
    }
    return false;
}

/* ---- the end of the head ---- */

/* HTTP_HEAD_DONE: it ends before h->scanned. */
static uint16_t find_end(http_head *h, loom_str bytes, const char **why)
{
    if (h->scanned == 0 && bytes.len > 0 && bytes.data[0] != '\r' && !is_token(bytes.data[0])) {
        return REFUSE(400, "this is not HTTP");
    }
    for (;;) {
        const char *lf = h->scanned < bytes.len ? memchr(bytes.data + h->scanned, '\n', bytes.len - h->scanned) : NULL;
        if (lf == NULL) {
            h->scanned = bytes.len;
            return HTTP_HEAD_MORE;
        }
        size_t end = (size_t)(lf - bytes.data);
        if (end == h->line || bytes.data[end - 1] != '\r') {
            return REFUSE(400, "a line has to end with CR and LF");
        }
        bool empty = end - 1 == h->line;
        bool first = h->line == 0;
        h->scanned = h->line = end + 1;
        if (empty && first) {
            return REFUSE(400, "the request line is missing");
        }
        if (empty) {
            return HTTP_HEAD_DONE;
        }
    }
}

/* ---- the request line ---- */

static bool starts(loom_str text, const char *with)
{
    return text.len >= strlen(with) && strncasecmp(text.data, with, strlen(with)) == 0;
}

static uint16_t read_target(http_head *h, loom_str target, const char **why)
{
    for (size_t i = 0; i < target.len; i++) {
        if (target.data[i] <= ' ' || target.data[i] >= 0x7f) { /* char may be signed: what is over 127 counts, too */
            return REFUSE(400, "the target holds a character that has to be written with %");
        }
    }
    size_t scheme = starts(target, "http://") ? 7 : starts(target, "https://") ? 8 : 0;
    if (scheme > 0) { /* absolute form: what a proxy is asked for, and a server has to take (RFC 9112, section 3.2.2) */
        const char *slash = memchr(target.data + scheme, '/', target.len - scheme);
        target.len = slash != NULL ? target.len - (size_t)(slash - target.data) : 0;
        target.data = slash;
    }
    if (target.len == 0 && scheme > 0) {
        target = (loom_str){"/", 1};
    }
    if (target.len == 0 || target.data[0] != '/') {
        return REFUSE(400, "the target has to be a path");
    }
    const char *mark = memchr(target.data, '?', target.len);
    h->path = (loom_str){target.data, mark != NULL ? (size_t)(mark - target.data) : target.len};
    h->query = mark != NULL ? (loom_str){mark + 1, target.len - h->path.len - 1} : (loom_str){"", 0};
    return HTTP_HEAD_DONE;
}

/* METHOD SP TARGET SP HTTP/1.x */
static uint16_t read_request_line(http_head *h, loom_str line, const char **why)
{
    size_t method = token_length(line);
    const char *last = memrchr(line.data, ' ', line.len);
    if (method == 0 || method == line.len || line.data[method] != ' ' || last == line.data + method) {
        return REFUSE(400, "the request line is not METHOD TARGET HTTP/1.1");
    }
    loom_str version = {last + 1, line.len - (size_t)(last + 1 - line.data)};
    if (version.len != 8 || memcmp(version.data, "HTTP/", 5) != 0 || version.data[6] != '.') {
        return REFUSE(400, "the request line is not METHOD TARGET HTTP/1.1");
    }
    if (version.data[5] != '1' || version.data[7] < '0' || version.data[7] > '9') {
        return REFUSE(505, "HTTP/1.1 is spoken here");
    }
    h->minor = version.data[7] == '0' ? 0 : 1;
    h->method = (loom_str){line.data, method};
    return read_target(h, (loom_str){line.data + method + 1, (size_t)(last - line.data) - method - 1}, why);
}

/* ---- the fields ---- */

static uint16_t read_field(http_head *h, loom_str line, const char **why)
{
    size_t name = token_length(line);
    if (name == 0 || name == line.len || line.data[name] != ':') {
        return REFUSE(400, "a header field is not NAME: VALUE");
    }
    loom_str value = trimmed((loom_str){line.data + name + 1, line.len - name - 1});
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return REFUSE(400, "a header field holds a control character");
        }
    }
    if (h->field_count == HTTP_FIELDS_MAX) {
        return REFUSE(431, "the request has too many header fields");
    }
    h->fields[h->field_count++] = (http_field_read){{line.data, name}, value};
    return HTTP_HEAD_DONE;
}

static bool read_length(loom_str digits, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9' || i >= 18) {
            return false;
        }
        value = value * 10 + (uint64_t)(digits.data[i] - '0');
    }
    *out = value;
    return digits.len > 0;
}

/* How long the body is, so that there is one answer only (RFC 9112, section 6.3). */
static uint16_t read_framing(http_head *h, const char **why)
{
    for (size_t i = 0; i < h->field_count; i++) {
        const http_field_read *f = &h->fields[i];
        if (http_text_is(f->name, "Content-Length")) {
            uint64_t length;
            if (!read_length(f->value, &length) || (h->has_length && length != h->length)) {
                return REFUSE(400, "Content-Length has to be one number");
            }
            h->has_length = true;
            h->length = length;
        } else if (http_text_is(f->name, "Transfer-Encoding")) {
            if (h->chunked || !http_text_is(f->value, "chunked")) {
                return REFUSE(501, "of the transfer encodings only chunked is supported");
            }
            h->chunked = true;
        }
    }
    if (h->chunked && (h->has_length || h->minor == 0)) {
        return REFUSE(400, "the length of the body is given twice");
    }
    return HTTP_HEAD_DONE;
}

static uint16_t read_meaning(http_head *h, const char **why)
{
    size_t hosts = 0;
    for (size_t i = 0; i < h->field_count; i++) {
        hosts += http_text_is(h->fields[i].name, "Host");
    }
    if (hosts > 1 || (hosts == 0 && h->minor > 0)) {
        return REFUSE(400, "a request has exactly one Host");
    }
    const loom_str *expect = http_head_field(h, "Expect");
    if (expect != NULL && !http_text_is(*expect, "100-continue")) {
        return REFUSE(417, "of the expectations only 100-continue is supported");
    }
    h->wants_continue = expect != NULL && h->minor > 0;
    h->close = h->minor == 0 || http_head_lists(h, "Connection", "close", false);
    return read_framing(h, why);
}

void http_head_init(http_head *h)
{
    h->scanned = h->line = 0;
    h->method = h->path = h->query = (loom_str){"", 0};
    h->field_count = 0;
    h->minor = 1;
    h->close = h->chunked = h->has_length = h->wants_continue = false;
    h->length = 0;
}

uint16_t http_head_read(http_head *h, loom_str bytes, size_t max, size_t *used, const char **why)
{
    uint16_t status = find_end(h, bytes, why);
    if (status == HTTP_HEAD_MORE && bytes.len < max) {
        return status;
    }
    if (status == HTTP_HEAD_MORE || h->scanned > max) {
        return REFUSE(431, "the request line and header fields are too long");
    }
    if (status != HTTP_HEAD_DONE) {
        return status;
    }
    *used = h->scanned;
    loom_str left = {bytes.data, h->scanned - 2};
    for (bool first = true; left.len > 0 && status == HTTP_HEAD_DONE; first = false) {
        size_t len = (size_t)((const char *)memchr(left.data, '\n', left.len) - left.data) - 1;
        loom_str line = {left.data, len};
        status = first ? read_request_line(h, line, why) : read_field(h, line, why);
        left.data += len + 2;
        left.len -= len + 2;
    }
    return status != HTTP_HEAD_DONE ? status : read_meaning(h, why);
}
