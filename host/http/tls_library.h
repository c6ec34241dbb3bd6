/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's libssl, loaded when a TLS listener is opened: a process without one does not pay for it. */
#ifndef LOOM_HOST_HTTP_TLS_LIBRARY_H
#define LOOM_HOST_HTTP_TLS_LIBRARY_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

/* What is used of it. All of it is in libssl 3 or in libcrypto, which comes with it. */
#define TLS_LIBRARY_MAP(X)                                                                                          \
    X(TLS_server_method) X(SSL_CTX_new) X(SSL_CTX_free) X(SSL_CTX_ctrl) X(SSL_CTX_set_options)                      \
    X(SSL_CTX_set_default_passwd_cb) X(SSL_CTX_use_certificate_chain_file) X(SSL_CTX_use_PrivateKey_file)           \
    X(SSL_CTX_set_alpn_select_cb) X(SSL_select_next_proto)        \
    X(SSL_CTX_check_private_key) X(SSL_CTX_get0_certificate) X(SSL_new) X(SSL_free) X(SSL_set_bio)                  \
    X(SSL_set_accept_state) X(SSL_do_handshake) X(SSL_read) X(SSL_write) X(SSL_shutdown) X(SSL_get_error)           \
    X(BIO_meth_new) X(BIO_meth_free) X(BIO_meth_set_read) X(BIO_meth_set_write) X(BIO_meth_set_ctrl) X(BIO_new)     \
    X(BIO_get_data) X(BIO_set_data) X(BIO_set_init) X(BIO_set_flags) X(BIO_clear_flags)                \
    X(ERR_clear_error) X(ERR_peek_last_error) X(ERR_reason_error_string) X(X509_get0_notBefore)                     \
    X(X509_get0_notAfter) X(X509_cmp_current_time) X(ASN1_TIME_to_tm)

typedef struct tls_library {
#define X(name) __typeof__(&name) name;
    TLS_LIBRARY_MAP(X)
#undef X
} tls_library;

/* NULL: it cannot be had, and http_tls_library_problem() says why. Any thread. */
const tls_library *http_tls_library_get(void);
const char *http_tls_library_problem(void);

#endif
