/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL, loaded when the first tls+tcp or wss link opens: agents on ipc and tcp never pay for its 5 MB. Only its headers
 * are used at build time, and none of its macros that call functions by name. Any thread. */
#ifndef LOOM_SDK_LINK_TLS_LIBRARY_H
#define LOOM_SDK_LINK_TLS_LIBRARY_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define TLS_LIBRARY_MAP(X)                                                                                           \
    X(OPENSSL_init_ssl) X(TLS_client_method) X(SSL_CTX_new) X(SSL_CTX_free) X(SSL_CTX_ctrl) X(SSL_CTX_set_options)   \
    X(SSL_CTX_set_verify) X(SSL_CTX_set_default_verify_paths) X(SSL_CTX_load_verify_locations)                       \
    X(SSL_new) X(SSL_free) X(SSL_ctrl) X(SSL_set_bio) X(SSL_get0_param) X(SSL_set_ex_data) X(SSL_get_ex_data)        \
    X(SSL_get_ex_data_X509_STORE_CTX_idx) X(SSL_connect) X(SSL_read) X(SSL_write) X(SSL_shutdown) X(SSL_get_error)   \
    X(BIO_meth_new) X(BIO_meth_free) X(BIO_meth_set_read) X(BIO_meth_set_write) X(BIO_meth_set_ctrl)                 \
    X(BIO_new) X(BIO_set_data) X(BIO_get_data) X(BIO_set_init) X(BIO_set_flags) X(BIO_clear_flags)                   \
    X(ERR_clear_error) X(ERR_peek_error) X(ERR_reason_error_string)                                                  \
    X(X509_VERIFY_PARAM_set1_host) X(X509_VERIFY_PARAM_set1_ip_asc) X(X509_VERIFY_PARAM_set_hostflags)               \
    X(X509_STORE_CTX_get_error) X(X509_STORE_CTX_get_current_cert) X(X509_STORE_CTX_get_ex_data)                     \
    X(X509_verify_cert_error_string) X(X509_get_ext_d2i) X(X509_get_subject_name) X(X509_NAME_get_text_by_NID)       \
    X(OPENSSL_sk_num) X(OPENSSL_sk_value) X(GENERAL_NAMES_free) X(ASN1_STRING_get0_data) X(ASN1_STRING_length)

typedef struct tls_library {
#define X(name) __typeof__(&(name)) name;
    TLS_LIBRARY_MAP(X)
#undef X
} tls_library;

/* NULL: there is none, or it is too old; tls_library_problem() says which. */
const tls_library *tls_library_get(void);
const char *tls_library_problem(void); /* after a NULL; static storage */

#endif
