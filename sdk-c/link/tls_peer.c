/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/link/tls_peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { NAME_SIZE = 80, PEER_SLOT = 0 };

/* ---- what is expected ---- */

static bool is_address(const char *host)
{
    struct in6_addr any;
    return inet_pton(AF_INET, host, &any) == 1 || strchr(host, ':') != NULL; /* no name has a colon */
}

bool tls_peer_expect(tls_peer *peer, SSL *ssl)
{
    const tls_library *lib = peer->lib;
    X509_VERIFY_PARAM *param = lib->SSL_get0_param(ssl);
    char host[256];
    (void)snprintf(host, sizeof host, "%s", peer->host);
    if (lib->SSL_set_ex_data(ssl, PEER_SLOT, peer) != 1) {
        return false;
    }
    if (is_address(host)) {
        host[strcspn(host, "%")] = '\0'; /* the interface of a link-local address is this machine's business */
        return lib->X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    }
    size_t len = strlen(host);
    if (len > 1 && host[len - 1] == '.') { /* the root; neither certificates nor SNI (RFC 6066, 3) write it */
        host[len - 1] = '\0';
    }
    lib->X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return lib->X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
           lib->SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host) == 1;
}

/* ---- what came instead ---- */

static bool name_of_entry(const tls_library *lib, char out[NAME_SIZE], const GENERAL_NAME *entry)
{
    if (entry->type == GEN_DNS) {
        int len = lib->ASN1_STRING_length(entry->d.dNSName);
        (void)snprintf(out, NAME_SIZE, "%.*s", len, (const char *)lib->ASN1_STRING_get0_data(entry->d.dNSName));
        return out[0] != '\0';
    }
    if (entry->type == GEN_IPADD) {
        int len = lib->ASN1_STRING_length(entry->d.iPAddress);
        const void *address = lib->ASN1_STRING_get0_data(entry->d.iPAddress);
        return (len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6, address, out, NAME_SIZE) != NULL;
    }
    return false;
}

/* The first name or address that a certificate is for. */
static void name_of(const tls_library *lib, char out[NAME_SIZE], const X509 *certificate)
{
    bool found = false;
    GENERAL_NAMES *names = lib->X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const OPENSSL_STACK *stack = (const OPENSSL_STACK *)names;
    for (int i = 0; names != NULL && !found && i < lib->OPENSSL_sk_num(stack); i++) {
        found = name_of_entry(lib, out, lib->OPENSSL_sk_value(stack, i));
    }
    if (names != NULL) {
        lib->GENERAL_NAMES_free(names);
    }
    if (!found && lib->X509_NAME_get_text_by_NID(lib->X509_get_subject_name(certificate), NID_commonName, out, NAME_SIZE) <= 0) {
        (void)snprintf(out, NAME_SIZE, "nobody");
    }
    for (char *at = out; *at != '\0'; at++) {
        *at = *at > ' ' && *at < 0x7f ? *at : '?';
    }
}

int tls_peer_verify(int fine, X509_STORE_CTX *store)
{
    const tls_library *lib = tls_library_get();
    if (fine) {
        return 1;
    }
    const SSL *ssl = lib->X509_STORE_CTX_get_ex_data(store, lib->SSL_get_ex_data_X509_STORE_CTX_idx());
    tls_peer *peer = lib->SSL_get_ex_data(ssl, PEER_SLOT);
    int error = lib->X509_STORE_CTX_get_error(store);
    const X509 *certificate = lib->X509_STORE_CTX_get_current_cert(store);
    char name[NAME_SIZE];
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        name_of(lib, name, certificate);
        (void)snprintf(peer->fault, sizeof peer->fault, "the certificate is for another host: %s", name);
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        (void)snprintf(peer->fault, sizeof peer->fault, "the %s", lib->X509_verify_cert_error_string(error));
        break;
    default:
        (void)snprintf(peer->fault, sizeof peer->fault, "the certificate is not trusted: %s",
                       lib->X509_verify_cert_error_string(error));
    }
    return 0;
}
