/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side of TLS 1.2 and 1.3 over bytes that somebody else reads and writes. Nothing here does I/O, but for
 * reading the certificate. */
#ifndef LOOM_HOST_HTTP_TLS_H
#define LOOM_HOST_HTTP_TLS_H

#include "host/http/buffer.h"

#include <loom/status.h>

typedef struct tls_context tls_context; /* a certificate and its key; may be shared by any number of sessions */
typedef struct tls_session tls_session;

/* file: PEM with the certificate, what it was signed by if need be, and the key.
 * LOOM_EINVAL: the file is no such thing, or the certificate's time is over or has not begun. LOOM_EIO: it cannot be read,
 * or there is no OpenSSL. LOOM_ENOMEM. why then names the file and what is wrong. */
LOOM_MUST_CHECK loom_status tls_context_open(tls_context **out, const char *file, char *why, size_t why_size);
/* What the sessions speak, for clients that ask (ALPN, RFC 7301): in the form of the wire, "\x2h2\x8http/1.1", the dearest
 * first; borrowed until the context is closed. A client that wants none of it gets no answer to that, and may go on. */
void tls_context_offer(tls_context *c, const char *protocols);
/* Takes the certificate and key of another file, or what is now in the same one: for sessions that open from here on. Errors
 * as above; then nothing has changed. */
LOOM_MUST_CHECK loom_status tls_context_reload(tls_context *c, const char *file, char *why, size_t why_size);
void tls_context_close(tls_context *c); /* NULL is allowed; its sessions are closed before it */

/* NULL: out of memory. */
tls_session *tls_session_open(tls_context *c);
void tls_session_close(tls_session *s); /* NULL is allowed */
/* Bytes from the peer, borrowed until tls_session_read() has returned TLS_MORE. */
void tls_session_feed(tls_session *s, const uint8_t *data, size_t len);
typedef enum tls_event {
    TLS_DATA,  /* bytes of the application */
    TLS_MORE,  /* the peer has to say more */
    TLS_END,   /* the peer has ended the stream */
    TLS_BROKEN /* this is no TLS, or has been tampered with; what is to be sent says so to the peer */
} tls_event;
/* The handshake as well as what comes after it. */
tls_event tls_session_read(tls_session *s, uint8_t *out, size_t size, size_t *got);
bool tls_session_is_up(const tls_session *s); /* the handshake is over */
/* Puts data behind what is to be sent; only when it is up. False: out of memory, close. */
bool tls_session_write(tls_session *s, const uint8_t *data, size_t len);
/* Says that nothing more will come. */
void tls_session_end(tls_session *s);
/* What is to be sent: the caller sends it and sets len to 0. */
byte_buffer *tls_session_output(tls_session *s);

#endif
