/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 (RFC 9113) for a listener of http_server.h, by nghttp2: name http2_protocol in http_listen_options.http2. It is of
 * a library of its own, loom_http2, so that only programs that serve HTTP/2 load nghttp2.
 *
 * A client begins with HTTP/2's preface (section 3.4), by prior knowledge or because ALPN chose h2; any other beginning is
 * HTTP/1.1. Requests and answers are those of http_server.h, and so are their limits and deadlines; a WebSocket needs
 * HTTP/1.1. What an HTTP/2 client can do beside that is bounded as well: streams at once, resets (a burst of 200, then 33 a
 * second), control frames that ask for answers, header blocks in pieces, answers that it never takes.
 *
 * Threads: the loop's. */
#ifndef LOOM_HOST_HTTP_HTTP2_H
#define LOOM_HOST_HTTP_HTTP2_H

enum { HTTP2_STREAMS_MAX = 100, HTTP2_STREAM_WINDOW = 1 << 20, HTTP2_CONNECTION_WINDOW = 4 << 20 /* bytes */ };

extern const struct http2_protocol http2_protocol;

#endif
