#include "spoa/io/net/tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/addr.h"
#include "spoa/core/config/config.h"

struct tls {
    SSL_CTX *context;
    char *server_name; /* NULL: the peer's host; not for a server */
};

struct tls_stream {
    SSL *ssl;
    char error[TLS_ERROR_MAX];
};

const char *tls_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

/* ---- settings ---- */

/* Writes "WHAT 'FILE': why" and clears OpenSSL's errors. */
static bool refuse(char error[TLS_ERROR_MAX], const char *what, const char *file)
{
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_reason_error_string(code);

    /* OpenSSL 3 has no text for an errno. */
    if (reason == NULL)
        reason = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : "unknown error";
    (void)snprintf(error, TLS_ERROR_MAX, "%s '%s': %s", what, file, reason);
    ERR_clear_error();
    return false;
}

static bool load_authorities(SSL_CTX *context, const char *file, char error[TLS_ERROR_MAX])
{
    if (file == NULL)
        return SSL_CTX_set_default_verify_paths(context) == 1 ||
               refuse(error, "cannot read the system's certificates", X509_get_default_cert_dir());
    return SSL_CTX_load_verify_locations(context, file, NULL) == 1 ||
           refuse(error, "no certificates in 'tls-ca'", file);
}

static bool load_identity(SSL_CTX *context, const struct config_tls *settings, char error[TLS_ERROR_MAX])
{
    static char no_passphrase[] = ""; /* nobody is there to type one */

    if (settings->cert_file == NULL)
        return true;
    SSL_CTX_set_default_passwd_cb_userdata(context, no_passphrase);
    if (SSL_CTX_use_certificate_chain_file(context, settings->cert_file) != 1)
        return refuse(error, "no certificate in 'tls-cert'", settings->cert_file);
    if (SSL_CTX_use_PrivateKey_file(context, settings->key_file, SSL_FILETYPE_PEM) != 1)
        return refuse(error, "no key for the certificate in 'tls-key'", settings->key_file);
    return true;
}

/* What every context has. */
static void set_limits(SSL_CTX *context)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/* A context without settings; NULL where memory is short, with the text in `error`. */
static struct tls *create(const SSL_METHOD *method, char error[TLS_ERROR_MAX])
{
    struct tls *tls = calloc(1, sizeof(*tls));

    (void)snprintf(error, TLS_ERROR_MAX, "out of memory");
    if (tls == NULL)
        return NULL;
    ERR_clear_error();
    tls->context = SSL_CTX_new(method);
    if (tls->context != NULL) {
        set_limits(tls->context);
        return tls;
    }
    ERR_clear_error();
    tls_destroy(tls);
    return NULL;
}

struct tls *tls_create(const struct config_tls *settings, char error[TLS_ERROR_MAX])
{
    struct tls *tls = create(TLS_client_method(), error);

    if (tls == NULL)
        return NULL;
    if (settings->server_name != NULL)
        tls->server_name = strdup(settings->server_name);
    if ((settings->server_name != NULL && tls->server_name == NULL) ||
        !load_authorities(tls->context, settings->ca_file, error) ||
        !load_identity(tls->context, settings, error)) {
        tls_destroy(tls);
        return NULL;
    }
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    return tls;
}

/* Who may have signed the peers' certificates. Peers are told their names. */
static bool demand_certificates(SSL_CTX *context, const char *file, char error[TLS_ERROR_MAX])
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);

    if (names == NULL || SSL_CTX_load_verify_locations(context, file, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return refuse(error, "no certificates in 'tls-client-ca'", file);
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return true;
}

struct tls *tls_create_server(const struct config_tls *settings, char error[TLS_ERROR_MAX])
{
    struct tls *tls = create(TLS_server_method(), error);

    if (tls == NULL)
        return NULL;
    if (!load_identity(tls->context, settings, error) ||
        (settings->ca_file != NULL && !demand_certificates(tls->context, settings->ca_file, error))) {
        tls_destroy(tls);
        return NULL;
    }
    /* Nothing is resumed: HAProxy's connections are few and long, and each is to be judged by the present files. */
    SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(tls->context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(tls->context, 0);
    /* An idle connection has no buffers. */
    SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS);
    return tls;
}

void tls_destroy(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    free(tls->server_name);
    free(tls);
}

/* ---- one connection ---- */

/*
 * The certificate must be for `name`: an address, or a host name. A host name is also sent to the peer (SNI).
 */
static bool expect_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
        return true;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

/* NULL if memory is short. */
static struct tls_stream *stream_over(const struct tls *tls, int fd)
{
    struct tls_stream *stream = calloc(1, sizeof(*stream));

    if (stream == NULL)
        return NULL;
    stream->ssl = SSL_new(tls->context);
    if (stream->ssl != NULL && SSL_set_fd(stream->ssl, fd) == 1)
        return stream;
    ERR_clear_error();
    tls_stream_destroy(stream);
    return NULL;
}

struct tls_stream *tls_stream_create(const struct tls *tls, int fd, const struct addr *peer)
{
    struct tls_stream *stream = stream_over(tls, fd);
    char ip[ADDR_IP_TEXT_MAX];

    if (stream == NULL)
        return NULL;
    if (!expect_name(stream->ssl, tls->server_name != NULL ? tls->server_name : addr_host(peer, ip))) {
        ERR_clear_error();
        tls_stream_destroy(stream);
        return NULL;
    }
    SSL_set_connect_state(stream->ssl);
    return stream;
}

struct tls_stream *tls_stream_accept(const struct tls *tls, int fd)
{
    struct tls_stream *stream = stream_over(tls, fd);

    if (stream != NULL)
        SSL_set_accept_state(stream->ssl);
    return stream;
}

void tls_stream_destroy(struct tls_stream *stream)
{
    if (stream == NULL)
        return;
    SSL_free(stream->ssl);
    free(stream);
}

static void note_error(struct tls_stream *stream, int problem)
{
    long verdict = SSL_get_verify_result(stream->ssl);
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_reason_error_string(code);

    if (verdict != X509_V_OK)
        reason = X509_verify_cert_error_string(verdict);
    else if (problem == SSL_ERROR_ZERO_RETURN)
        reason = "closed by the peer";
    else if (problem == SSL_ERROR_SYSCALL && errno != 0)
        reason = strerror(errno);
    else if (reason == NULL)
        reason = "closed in the middle";
    (void)snprintf(stream->error, sizeof(stream->error), "TLS: %s", reason);
    ERR_clear_error();
}

int tls_stream_handshake(struct tls_stream *stream)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(stream->ssl);

    if (result == 1)
        return 1;
    int problem = SSL_get_error(stream->ssl, result);
    if (problem == SSL_ERROR_WANT_READ || problem == SSL_ERROR_WANT_WRITE)
        return 0;
    note_error(stream, problem);
    return -1;
}

/* Turns the result of a read or write without a byte into that of a socket call, with its errno. */
static ssize_t settle(struct tls_stream *stream, int result)
{
    int problem = SSL_get_error(stream->ssl, result);

    if (problem == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (problem == SSL_ERROR_WANT_READ || problem == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    if (problem == SSL_ERROR_SYSCALL && errno != 0) {
        ERR_clear_error();
        return -1;
    }
    note_error(stream, problem);
    errno = EPROTO;
    return -1;
}

static int length_of(size_t len)
{
    return len < INT_MAX ? (int)len : INT_MAX;
}

ssize_t tls_stream_read(struct tls_stream *stream, void *bytes, size_t size)
{
    ERR_clear_error();
    errno = 0;
    int got = SSL_read(stream->ssl, bytes, length_of(size));

    return got > 0 ? got : settle(stream, got);
}

ssize_t tls_stream_write(struct tls_stream *stream, const void *bytes, size_t len)
{
    size_t done = 0;
    int sent = 0;

    ERR_clear_error();
    errno = 0;
    /* OpenSSL returns after each record. */
    while (done < len &&
           (sent = SSL_write(stream->ssl, (const char *)bytes + done, length_of(len - done))) > 0)
        done += (size_t)sent;
    if (done > 0) {
        ERR_clear_error(); /* the next call fails, too */
        return (ssize_t)done;
    }
    return settle(stream, sent);
}

bool tls_stream_wants_write(const struct tls_stream *stream)
{
    return SSL_want_write(stream->ssl);
}

bool tls_stream_wants_read(const struct tls_stream *stream)
{
    return SSL_want_read(stream->ssl);
}

bool tls_stream_is_open(const struct tls_stream *stream)
{
    return SSL_is_init_finished(stream->ssl);
}

bool tls_stream_has_part(const struct tls_stream *stream)
{
    return SSL_has_pending(stream->ssl) == 1;
}

void tls_stream_end(struct tls_stream *stream)
{
    (void)SSL_shutdown(stream->ssl);
    ERR_clear_error();
}

const char *tls_stream_error(const struct tls_stream *stream)
{
    return stream->error;
}
