/* SPDX-License-Identifier: Apache-2.0 */
#include "host/http/head.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

#define REFUSE(status, sentence) (*why = (sentence), (uint16_t)(status))

const char *http_status_name(uint16_t status)
{
    static const struct {
        uint16_t status;
        const char *name;
    } names[] = { /* IANA's registry, whatever is sent today; 499 is nginx's */
        {100, "Continue"}, {101, "Switching Protocols"}, {103, "Early Hints"}, {200, "OK"}, {201, "Created"}, {202, "Accepted"},
        {203, "Non-Authoritative Information"}, {204, "No Content"}, {205, "Reset Content"}, {206, "Partial Content"},
        {207, "Multi-Status"}, {300, "Multiple Choices"}, {301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"},
        {304, "Not Modified"}, {307, "Temporary Redirect"}, {308, "Permanent Redirect"}, {400, "Bad Request"},
        {401, "Unauthorized"}, {402, "Payment Required"}, {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"},
        {406, "Not Acceptable"}, {407, "Proxy Authentication Required"}, {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"},
        {411, "Length Required"}, {412, "Precondition Failed"}, {413, "Content Too Large"}, {414, "URI Too Long"},
        {415, "Unsupported Media Type"}, {416, "Range Not Satisfiable"}, {417, "Expectation Failed"}, {421, "Misdirected Request"},
        {422, "Unprocessable Content"}, {423, "Locked"}, {424, "Failed Dependency"}, {425, "Too Early"}, {426, "Upgrade Required"},
        {428, "Precondition Required"}, {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"}, {499, "Client Closed Request"}, {500, "Internal Server Error"},
        {501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"}, {506, "Variant Also Negotiates"}, {507, "Insufficient Storage"}, {508, "Loop Detected"},
        {511, "Network Authentication Required"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].status == status) {
            return names[i].name;
        }
    }
    return "Status";
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

const loom_str *http_head_field(const http_head *h, const char *name)
{
    for (size_t i = 0; i < h->field_count; i++) {
        if (str_is_any_case(h->fields[i].name, name)) {
            return &h->fields[i].value;
        }
    }
    return NULL;
}

static bool list_holds(loom_str list, const char *token, bool exact)
{
    loom_str item;
    while (str_next_item(&list, ',', &item)) {
        item = str_trim(item);
        if (exact ? str_is(item, token) : str_is_any_case(item, token)) {
            return true;
        }
    }
    return false;
}

bool http_head_lists(const http_head *h, const char *name, const char *token, bool exact)
{
    for (size_t i = 0; i < h->field_count; i++) {
        if (str_is_any_case(h->fields[i].name, name) && list_holds(h->fields[i].value, token, exact)) {
            return true;
        }
    }
    return false;
}

/* ---- the end of the head ---- */

/* llhttp takes a bare LF for the end of some lines, empty lines before the first, and fields that go on in the next line:
 * all of this is refused here. HTTP_HEAD_DONE: the head ends before h->scanned. */
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
        if (bytes.data[h->line] == ' ' || bytes.data[h->line] == '\t') {
            return REFUSE(400, "a line begins with a space");
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

/* ---- what llhttp finds ---- */

static int refuse(http_head *h, uint16_t status, const char *why)
{
    h->refused = status;
    h->why = why;
    return HPE_USER;
}

static int on_method(llhttp_t *parser, const char *at, size_t len)
{
    ((http_head *)parser->data)->method = (loom_str){at, len};
    return 0;
}

static int on_target(llhttp_t *parser, const char *at, size_t len)
{
    ((http_head *)parser->data)->target = (loom_str){at, len};
    return len <= HTTP_TARGET_MAX ? 0 : refuse(parser->data, 414, "the target is too long");
}

static int on_version(llhttp_t *parser, const char *at, size_t len)
{
    http_head *h = parser->data;
    h->version = (loom_str){at, len};
    if (len != 3) { /* llhttp has stopped there, and will say so */
        return 0;
    }
    h->minor = at[2] == '0' ? 0 : 1;
    return at[0] == '1' && at[2] <= '1' ? 0 : refuse(h, 505, "HTTP/1.1 is spoken here");
}

static int on_name(llhttp_t *parser, const char *at, size_t len)
{
    http_head *h = parser->data;
    if (len == 0) {
        return refuse(h, 400, "a header field has no name");
    }
    if (h->field_count == HTTP_FIELDS_MAX) {
        return refuse(h, 431, "the request has too many header fields");
    }
    h->fields[h->field_count++] = (http_field_read){{at, len}, {"", 0}};
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    http_head *h = parser->data;
    h->fields[h->field_count - 1].value = str_trim((loom_str){at, len});
    return 0;
}

static int on_head_end(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED; /* what follows is the body's, or another request */
}

static uint16_t refusal(const http_head *h, llhttp_errno_t error, loom_str bytes, const char **why)
{
    if (h->refused != 0) {
        return REFUSE(h->refused, h->why);
    }
    size_t method;
    switch (error) {
    case HPE_INVALID_METHOD:
        method = token_length(bytes);
        if (method > 0 && bytes.data[method] == ' ') {
            return REFUSE(501, "the method is not known here");
        }
        return REFUSE(400, "the request line is not METHOD TARGET HTTP/1.1");
    case HPE_INVALID_URL:
        return REFUSE(400, "the target has to be a path, with what is no URL character written with %");
    case HPE_INVALID_CONSTANT:
    case HPE_INVALID_VERSION:
        return REFUSE(400, "the request line is not METHOD TARGET HTTP/1.1");
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return REFUSE(400, "Content-Length has to be one number, given once, and not beside Transfer-Encoding");
    case HPE_INVALID_TRANSFER_ENCODING:
        return REFUSE(501, "of the transfer encodings only chunked is supported");
    default:
        return REFUSE(400, "a header field is not NAME: VALUE, or holds a control character");
    }
}

/* ---- what llhttp lets pass ---- */

static bool starts(loom_str text, const char *with)
{
    return text.len >= strlen(with) && strncasecmp(text.data, with, strlen(with)) == 0;
}

/* More than one space, another protocol's name, or no version at all (HTTP/0.9). */
static bool is_request_line(const http_head *h)
{
    const char *target = h->method.data + h->method.len + 1;
    return h->version.len > 0 && h->target.data == target && h->version.data == target + h->target.len + 6 &&
           memcmp(target + h->target.len, " HTTP/", 6) == 0;
}

static uint16_t read_target(http_head *h, loom_str target, const char **why)
{
    const size_t scheme = starts(target, "http://") ? 7 : starts(target, "https://") ? 8 : 0;
    if (scheme > 0) { /* absolute form: what a proxy is asked for, and a server has to take (RFC 9112, section 3.2.2) */
        target = str_tail(target, scheme);
        while (h->authority.len < target.len && strchr("/?#", target.data[h->authority.len]) == NULL) {
            h->authority.len++;
        }
        h->authority.data = target.data;
        target = str_tail(target, h->authority.len);
    }
    if (scheme > 0 && (h->authority.len == 0 || memchr(h->authority.data, '@', h->authority.len) != NULL)) {
        return REFUSE(400, "the target names no host, or a user beside it"); /* RFC 9110, sections 4.2.1 and 4.2.4 */
    }
    if (h->parser.method == HTTP_CONNECT || (scheme == 0 && (target.len == 0 || target.data[0] != '/'))) {
        return REFUSE(400, "the target has to be a path");
    }
    if (target.len > 0 && memchr(target.data, '#', target.len) != NULL) {
        return REFUSE(400, "the target has a fragment: a '#' that belongs to it is written %23");
    }
    const char *mark = target.len > 0 ? memchr(target.data, '?', target.len) : NULL;
    h->path = (loom_str){target.data, mark != NULL ? (size_t)(mark - target.data) : target.len};
    h->query = mark != NULL ? (loom_str){mark + 1, target.len - h->path.len - 1} : (loom_str){"", 0};
    h->path = h->path.len > 0 ? h->path : (loom_str){"/", 1};
    return HTTP_HEAD_DONE;
}

/* How long the body is, so that there is one answer only (RFC 9112, section 6.3). */
static uint16_t read_framing(http_head *h, const char **why)
{
    static const uint64_t most = 999999999999999999;
    h->has_length = (h->parser.flags & F_CONTENT_LENGTH) != 0;
    h->chunked = (h->parser.flags & F_CHUNKED) != 0;
    h->length = h->parser.content_length;
    const loom_str *encoding = http_head_field(h, "Transfer-Encoding");
    if (encoding != NULL && (!h->chunked || !str_is_any_case(*encoding, "chunked"))) {
        return REFUSE(501, "of the transfer encodings only chunked is supported");
    }
    if (h->chunked && h->minor == 0) {
        return REFUSE(400, "HTTP/1.0 has no chunks");
    }
    if (h->length > most) {
        return REFUSE(400, "Content-Length is no number of bytes that can be");
    }
    return HTTP_HEAD_DONE;
}

static uint16_t read_meaning(http_head *h, const char **why)
{
    size_t hosts = 0;
    for (size_t i = 0; i < h->field_count; i++) {
        const bool is_host = str_is_any_case(h->fields[i].name, "Host");
        hosts += is_host;
        if (is_host && h->authority.len > 0) { /* which counts in its place (RFC 9112, section 3.2.2) */
            h->fields[i].value = h->authority;
        }
    }
    if (hosts > 1 || (hosts == 0 && h->minor > 0)) {
        return REFUSE(400, "a request has exactly one Host");
    }
    const loom_str *expect = http_head_field(h, "Expect");
    if (expect != NULL && !str_is_any_case(*expect, "100-continue")) {
        return REFUSE(417, "of the expectations only 100-continue is supported");
    }
    h->wants_continue = expect != NULL && h->minor > 0;
    h->close = h->minor == 0 || http_head_lists(h, "Connection", "close", false);
    return read_framing(h, why);
}

void http_head_init(http_head *h)
{
    static const llhttp_settings_t settings = {
        .on_method = on_method,
        .on_url = on_target,
        .on_version = on_version,
        .on_header_field = on_name,
        .on_header_value = on_value,
        .on_headers_complete = on_head_end,
    };
    llhttp_init(&h->parser, HTTP_REQUEST, &settings);
    h->parser.data = h;
    h->scanned = h->line = 0;
    h->refused = 0;
    h->method = h->target = h->version = h->path = h->query = h->authority = (loom_str){"", 0};
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
    llhttp_errno_t error = llhttp_execute(&h->parser, bytes.data, h->scanned); /* whole, so that every part is in one piece */
    if (error != HPE_PAUSED) {
        return refusal(h, error, bytes, why);
    }
    if (!is_request_line(h) || llhttp_get_error_pos(&h->parser) != bytes.data + h->scanned) {
        return REFUSE(400, "the request line is not METHOD TARGET HTTP/1.1");
    }
    status = read_target(h, h->target, why);
    return status != HTTP_HEAD_DONE ? status : read_meaning(h, why);
}
