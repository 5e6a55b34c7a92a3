/* What our contexts demand, which peers they accept, and the reasons of a refusal. */
#include "spoa/io/net/tls.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/addr.h"
#include "spoa/core/config/config.h"
#include "spoa/io/net/stream.h"
#include "tests/unit/io/net/certificate_fixture.h"

#define TURNS 1000

static char named[64]; /* a certificate for host names, some with wildcards */
static char named_key[64];
static char locked_key[64]; /* has a passphrase */
static char no_pem[64];
static char nowhere[] = "/nowhere.pem";
static char error[TLS_ERROR_MAX];
static SSL_CTX *last_context; /* that was made last */
static int ends[2];           /* the client's, and the server's */
static struct tls *client_tls;
static struct tls *server_tls;
static struct tls_stream *client;
static struct tls_stream *server;
static char sent_name[64]; /* what the client has told of the server's name (SNI); "" if nothing */

static bool is_short; /* OpenSSL has no memory */

static void *find_real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    assert_non_null(found);
    return found;
}

/* These two are in place of OpenSSL's. */
SSL_CTX *SSL_CTX_new(const SSL_METHOD *method)
{
    SSL_CTX *(*real)(const SSL_METHOD *) = NULL;
    void *found = find_real("SSL_CTX_new");

    memcpy(&real, &found, sizeof(real));
    last_context = is_short ? NULL : real(method);
    if (is_short)
        ERR_raise(ERR_LIB_SSL, ERR_R_MALLOC_FAILURE);
    return last_context;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
SSL *SSL_new(SSL_CTX *context)
{
    SSL *(*real)(SSL_CTX *) = NULL;
    void *found = find_real("SSL_new");

    memcpy(&real, &found, sizeof(real));
    if (is_short)
        ERR_raise(ERR_LIB_SSL, ERR_R_MALLOC_FAILURE);
    return is_short ? NULL : real(context);
}

static int socket_error; /* what reads and writes fail with; 0: they do not */
static bool is_mute;     /* they fail, and do not say why */

static bool fails(void)
{
    if (socket_error != 0)
        errno = socket_error;
    return is_mute || socket_error != 0;
}

/* These two are in place of the C library's, for OpenSSL, too. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t read(int fd, void *bytes, size_t size)
{
    return fails() ? -1 : syscall(SYS_read, fd, bytes, size);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t write(int fd, const void *bytes, size_t size)
{
    return fails() ? -1 : syscall(SYS_write, fd, bytes, size);
}

static void name_file(char path[64], const char *name)
{
    (void)snprintf(path, 64, "%s/%s", certificate_folder, name);
}

static int set_up_all(void **state)
{
    static const char text[] = "no certificate, and no key\n";

    (void)signal(SIGPIPE, SIG_IGN);
    if (make_certificate(state) != 0)
        return -1;
    name_file(named, "named");
    name_file(named_key, "named_key");
    name_file(locked_key, "locked_key");
    name_file(no_pem, "no_pem");
    int fd = open(no_pem, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) == -1)
        return -1;
    return sign_certificate("/CN=named", "DNS:redis.test,DNS:*.whole.test,DNS:part*.other.test", named,
                            named_key) |
           run_openssl((const char *const[]){"openssl", "pkcs8", "-topk8", "-in", certificate_key, "-passout",
                                             "pass:secret", "-out", locked_key, NULL});
}

static int tear_down_all(void **state)
{
    unlink(named);
    unlink(named_key);
    unlink(locked_key);
    unlink(no_pem);
    return remove_certificate(state);
}

static int set_up(void **state)
{
    (void)state;
    ERR_clear_error();
    (void)snprintf(error, sizeof(error), "%s", "nothing");
    sent_name[0] = '\0';
    is_short = is_mute = false;
    socket_error = 0;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
}

/* Fails where an error was left for whom it does not concern. */
static int tear_down(void **state)
{
    (void)state;
    tls_stream_destroy(client);
    tls_stream_destroy(server);
    tls_destroy(client_tls);
    tls_destroy(server_tls);
    client = server = NULL;
    client_tls = server_tls = NULL;
    close(ends[0]);
    close(ends[1]);
    return ERR_peek_error() != 0;
}

static struct config_tls with_certificate(void)
{
    return (struct config_tls){.is_on = true, .cert_file = certificate, .key_file = certificate_key};
}

/* ---- settings ---- */

static void what_every_context_has(void)
{
    assert_int_equal(SSL_CTX_get_min_proto_version(last_context), TLS1_2_VERSION);
    assert_true((SSL_CTX_get_options(last_context) & SSL_OP_NO_RENEGOTIATION) != 0);
    assert_true((SSL_CTX_get_options(last_context) & SSL_OP_IGNORE_UNEXPECTED_EOF) != 0);
    assert_true((SSL_CTX_get_mode(last_context) & SSL_MODE_ENABLE_PARTIAL_WRITE) != 0);
    assert_true((SSL_CTX_get_mode(last_context) & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER) != 0);
}

static void test_client_context(void **state)
{
    const struct config_tls settings = {.is_on = true};

    (void)state;
    client_tls = tls_create(&settings, error); /* with the system's authorities */
    assert_non_null(client_tls);
    what_every_context_has();
    assert_int_equal(SSL_CTX_get_verify_mode(last_context), SSL_VERIFY_PEER);
}

static void test_server_context(void **state)
{
    struct config_tls settings = with_certificate();

    (void)state;
    server_tls = tls_create_server(&settings, error);
    assert_non_null(server_tls);
    what_every_context_has();
    assert_int_equal(SSL_CTX_get_verify_mode(last_context), SSL_VERIFY_NONE);
    assert_int_equal(SSL_CTX_get_session_cache_mode(last_context), SSL_SESS_CACHE_OFF);
    assert_true((SSL_CTX_get_options(last_context) & SSL_OP_NO_TICKET) != 0);
    assert_int_equal(SSL_CTX_get_num_tickets(last_context), 0);
    assert_true((SSL_CTX_get_mode(last_context) & SSL_MODE_RELEASE_BUFFERS) != 0);
    tls_destroy(server_tls);
    settings.ca_file = named;
    server_tls = tls_create_server(&settings, error);
    assert_non_null(server_tls);
    assert_int_equal(SSL_CTX_get_verify_mode(last_context),
                     SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    const STACK_OF(X509_NAME) *names = SSL_CTX_get_client_CA_list(last_context);
    assert_int_equal(sk_X509_NAME_num(names), 1);
    assert_non_null(
        strstr(X509_NAME_oneline(sk_X509_NAME_value(names, 0), error, sizeof(error)), "CN=named"));
}

/* What is wrong with these settings. A client's files are read like a server's. */
static void check_file(bool is_server, struct config_tls settings, const char *expected)
{
    settings.is_on = true;
    ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE); /* an error of long ago, which is not to be told */
    assert_null(is_server ? tls_create_server(&settings, error) : tls_create(&settings, error));
    if (strncmp(error, expected, strlen(expected)) != 0)
        assert_string_equal(error, expected);
    assert_null(strstr(error, "malloc"));
    assert_null(strstr(error, "unknown error"));
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_files_that_cannot_be_used(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        bool is_server = i == 1;
        check_file(is_server, (struct config_tls){.cert_file = nowhere, .key_file = certificate_key},
                   "no certificate in 'tls-cert' '/nowhere.pem': No such file or directory");
        check_file(is_server, (struct config_tls){.cert_file = certificate, .key_file = nowhere},
                   "no key for the certificate in 'tls-key' '/nowhere.pem': No such file or directory");
        check_file(is_server, (struct config_tls){.cert_file = no_pem, .key_file = certificate_key},
                   "no certificate in 'tls-cert' '/tmp/test_tls.");
        check_file(is_server, (struct config_tls){.cert_file = certificate, .key_file = no_pem},
                   "no key for the certificate in 'tls-key' '/tmp/test_tls.");
        check_file(is_server, (struct config_tls){.cert_file = certificate, .key_file = named_key},
                   "no key for the certificate in 'tls-key' '/tmp/test_tls.");
        assert_non_null(strstr(error, "/named_key': key values mismatch"));
        check_file(is_server, (struct config_tls){.cert_file = certificate, .key_file = locked_key},
                   "no key for the certificate in 'tls-key' '/tmp/test_tls.");
        assert_non_null(strstr(error, "/locked_key': bad decrypt")); /* and nobody was asked */
    }
    check_file(false, (struct config_tls){.ca_file = nowhere},
               "no certificates in 'tls-ca' '/nowhere.pem': No such file or directory");
    check_file(false, (struct config_tls){.ca_file = no_pem}, "no certificates in 'tls-ca' '/tmp/test_tls.");
    struct config_tls settings = with_certificate();
    settings.ca_file = nowhere;
    check_file(true, settings,
               "no certificates in 'tls-client-ca' '/nowhere.pem': No such file or directory");
    settings.ca_file = no_pem;
    check_file(true, settings, "no certificates in 'tls-client-ca' '/tmp/test_tls.");
}

/* ---- connections ---- */

/* The descriptor stays the caller's. */
static void test_no_memory(void **state)
{
    const struct config_tls settings = with_certificate();
    const struct addr peer = {.kind = ADDR_IPV4, .ip = {127, 0, 0, 1}};
    struct stream stream = {.fd = -7};

    (void)state;
    is_short = true;
    assert_null(tls_create(&settings, error));
    assert_string_equal(error, "out of memory");
    assert_int_equal(ERR_peek_error(), 0);
    error[0] = '\0';
    assert_null(tls_create_server(&settings, error));
    assert_string_equal(error, "out of memory");
    is_short = false;
    client_tls = tls_create(&settings, error);
    server_tls = tls_create_server(&settings, error);
    assert_non_null(client_tls);
    assert_non_null(server_tls);
    is_short = true;
    assert_null(tls_stream_create(client_tls, ends[0], &peer));
    assert_int_equal(ERR_peek_error(), 0);
    assert_null(tls_stream_accept(server_tls, ends[1]));
    assert_false(stream_open(&stream, ends[1], server_tls));
    assert_int_equal(stream.fd, -7);
    assert_int_not_equal(fcntl(ends[1], F_GETFD), -1);
}

static int note_name(SSL *ssl, int *alert, void *context)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    (void)context;
    (void)snprintf(sent_name, sizeof(sent_name), "%s", name != NULL ? name : "");
    return SSL_TLSEXT_ERR_OK;
}

/* A server with the certificate for host names or that for 127.0.0.1, and a client that calls `peer`. */
static void open_streams(bool is_named, char *server_name, const char *peer)
{
    const struct config_tls ours = {.is_on = true,
                                    .cert_file = is_named ? named : certificate,
                                    .key_file = is_named ? named_key : certificate_key};
    const struct config_tls theirs = {.is_on = true, .ca_file = ours.cert_file, .server_name = server_name};
    struct addr addr;

    assert_true(addr_parse(span_of_text(peer), &addr));
    client_tls = tls_create(&theirs, error);
    assert_non_null(client_tls);
    server_tls = tls_create_server(&ours, error);
    assert_non_null(server_tls);
    SSL_CTX_set_tlsext_servername_callback(last_context, note_name);
    client = tls_stream_create(client_tls, ends[0], &addr);
    assert_non_null(client);
    server = tls_stream_accept(server_tls, ends[1]);
    assert_non_null(server);
    assert_int_equal(ERR_peek_error(), 0);
}

/* Until the client is through, or gives up: what it says then. */
static int shake_hands(void)
{
    int done = 0;
    char byte;

    for (int i = 0; i < TURNS && done == 0; i++) {
        done = tls_stream_handshake(client);
        if (done == 0)
            (void)!tls_stream_read(server, &byte, 1);
    }
    assert_int_equal(ERR_peek_error(), 0);
    return done;
}

static const struct {
    bool is_named;
    char server_name[32]; /* in the settings; "": none */
    const char *peer;
    const char *reason; /* NULL: it is let in */
    const char *sent;
} peers[] = {
    {false, "", "127.0.0.1:7", NULL, ""},
    {false, "127.0.0.1", "127.0.0.2:7", NULL, ""},
    {false, "", "127.0.0.2:7", "TLS: IP address mismatch", ""},
    {false, "127.0.0.2", "127.0.0.1:7", "TLS: IP address mismatch", ""},
    {false, "redis.test", "127.0.0.1:7", "TLS: hostname mismatch", "redis.test"},
    {true, "", "redis.test:7", NULL, "redis.test"},
    {true, "redis.test", "other.test:7", NULL, "redis.test"},
    {true, "one.whole.test", "other.test:7", NULL, "one.whole.test"},
    {true, "", "other.test:7", "TLS: hostname mismatch", "other.test"},
    {true, "part-of.other.test", "redis.test:7", "TLS: hostname mismatch", "part-of.other.test"},
    {true, "", "127.0.0.1:7", "TLS: IP address mismatch", ""},
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(peers) / sizeof(*peers); i++) {
        char name[sizeof(peers[i].server_name)];
        (void)snprintf(name, sizeof(name), "%s", peers[i].server_name);
        open_streams(peers[i].is_named, name[0] != '\0' ? name : NULL, peers[i].peer);
        assert_int_equal(shake_hands(), peers[i].reason == NULL ? 1 : -1);
        if (peers[i].reason != NULL)
            assert_int_equal(strcasecmp(tls_stream_error(client), peers[i].reason), 0);
        assert_string_equal(sent_name, peers[i].sent);
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
    }
}

/* The longest name that can be asked for has 255 bytes. */
static void test_a_name_that_cannot_be_sent(void **state)
{
    const struct addr peer = {.kind = ADDR_IPV4, .ip = {127, 0, 0, 1}};
    char name[257];
    const struct config_tls settings = {.is_on = true, .ca_file = certificate, .server_name = name};

    (void)state;
    memset(name, 'a', sizeof(name));
    name[256] = '\0';
    client_tls = tls_create(&settings, error);
    assert_non_null(client_tls);
    assert_null(tls_stream_create(client_tls, ends[0], &peer));
    assert_int_equal(ERR_peek_error(), 0);
}

/* Whom nobody has signed whom we trust. */
static void test_a_stranger(void **state)
{
    const struct config_tls settings = {.is_on = true, .ca_file = named};
    const struct addr peer = {.kind = ADDR_IPV4, .ip = {127, 0, 0, 1}};

    (void)state;
    open_streams(false, NULL, "127.0.0.1:7");
    tls_stream_destroy(client);
    tls_destroy(client_tls);
    client_tls = tls_create(&settings, error);
    assert_non_null(client_tls);
    client = tls_stream_create(client_tls, ends[0], &peer);
    assert_non_null(client);
    assert_int_equal(shake_hands(), -1);
    assert_non_null(strstr(tls_stream_error(client), "self"));
}

/* The other end of a handshake as a plain socket: what the client says of it. */
static void check_handshake(const void *bytes, size_t len, const char *reason)
{
    open_streams(false, NULL, "127.0.0.1:7");
    assert_int_equal(tls_stream_handshake(client), 0);
    assert_true(tls_stream_wants_read(client));
    assert_false(tls_stream_wants_write(client));
    assert_int_equal(write(ends[1], bytes, len), (ssize_t)len);
    assert_int_equal(shutdown(ends[1], SHUT_WR), 0);
    ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE); /* an error of somebody else */
    errno = EPERM;
    assert_int_equal(tls_stream_handshake(client), -1);
    assert_string_equal(tls_stream_error(client), reason);
}

static void test_an_end_in_the_handshake(void **state)
{
    (void)state;
    check_handshake("", 0, "TLS: closed by the peer");
}

static void test_a_farewell_in_the_handshake(void **state)
{
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 1, 0};

    (void)state;
    check_handshake(alert, sizeof(alert), "TLS: closed by the peer");
}

/* What we answer does not reach it any more. That is not the reason. */
static void test_no_tls_and_an_end(void **state)
{
    char bytes[4096];

    (void)state;
    open_streams(false, NULL, "127.0.0.1:7");
    assert_int_equal(tls_stream_handshake(client), 0);
    assert_true(read(ends[1], bytes, sizeof(bytes)) > 0);
    assert_int_equal(write(ends[1], "this is no record", 17), 17);
    close(ends[1]);
    assert_int_equal(tls_stream_handshake(client), -1);
    assert_string_equal(tls_stream_error(client), "TLS: wrong version number");
}

static void test_a_peer_that_resets(void **state)
{
    (void)state;
    open_streams(false, NULL, "127.0.0.1:7");
    assert_int_equal(tls_stream_handshake(client), 0);
    close(ends[1]); /* with our first words unread */
    assert_int_equal(tls_stream_handshake(client), -1);
    assert_string_equal(tls_stream_error(client), "TLS: Connection reset by peer");
}

/* For example by a firewall. */
static void test_a_socket_that_is_forbidden(void **state)
{
    char byte;

    (void)state;
    open_streams(false, NULL, "127.0.0.1:7");
    socket_error = EPERM;
    assert_int_equal(tls_stream_handshake(client), -1);
    socket_error = 0;
    assert_string_equal(tls_stream_error(client), "TLS: Operation not permitted");
    assert_int_equal(tear_down(state), 0);
    assert_int_equal(set_up(state), 0);
    open_streams(false, NULL, "127.0.0.1:7");
    assert_int_equal(shake_hands(), 1);
    socket_error = EPERM;
    int result = (int)tls_stream_read(client, &byte, 1);
    int code = errno;
    socket_error = 0;
    assert_int_equal(result, -1);
    assert_int_equal(code, EPERM);
    assert_string_equal(tls_stream_error(client), "");
}

/* What was said of another socket before is not its reason. */
static void test_a_socket_that_says_nothing(void **state)
{
    char byte;

    (void)state;
    for (int i = 0; i < 3; i++) {
        open_streams(false, NULL, "127.0.0.1:7");
        if (i > 0)
            assert_int_equal(shake_hands(), 1);
        is_mute = true;
        errno = EPERM;
        int result = i == 0   ? tls_stream_handshake(client)
                     : i == 1 ? (int)tls_stream_read(client, &byte, 1)
                              : (int)tls_stream_write(client, "a", 1);
        int code = errno;
        is_mute = false;
        assert_int_equal(result, -1);
        assert_string_equal(tls_stream_error(client), "TLS: closed in the middle");
        if (i > 0)
            assert_int_equal(code, EPROTO);
        assert_int_equal(tear_down(state), 0);
        assert_int_equal(set_up(state), 0);
    }
}

/* As recv() and send() say it. */
static void test_a_connection_that_breaks(void **state)
{
    static uint8_t bytes[100000];
    char byte;

    (void)state;
    open_streams(false, NULL, "127.0.0.1:7");
    assert_int_equal(shake_hands(), 1);
    errno = 0;
    assert_int_equal(tls_stream_read(server, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    /* Several records in one call. */
    assert_int_equal(tls_stream_write(client, bytes, sizeof(bytes)), sizeof(bytes));
    close(ends[1]);
    errno = 0;
    assert_int_equal(tls_stream_read(client, &byte, 1), -1);
    assert_int_equal(errno, ECONNRESET);
    errno = 0;
    assert_int_equal(tls_stream_write(client, "a", 1), -1);
    assert_int_equal(errno, EPIPE);
    assert_string_equal(tls_stream_error(client), "");
}

static void test_a_peer_that_breaks_the_rules(void **state)
{
    char byte;

    (void)state;
    open_streams(false, NULL, "127.0.0.1:7");
    assert_int_equal(shake_hands(), 1);
    assert_int_equal(tls_stream_read(server, &byte, 1), -1);
    assert_int_equal(write(ends[0], "this is no record", 17), 17);
    close(ends[0]);                                /* so that our answer to that fails */
    ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE); /* an error of somebody else */
    assert_int_equal(tls_stream_read(server, &byte, 1), -1);
    assert_int_equal(errno, EPROTO);
    /* The words are those of the version of OpenSSL. */
    const char *reason = tls_stream_error(server);
    assert_memory_equal(reason, "TLS: ", 5);
    assert_null(strstr(reason, "malloc"));
    assert_null(strstr(reason, "closed"));
    assert_null(strstr(reason, strerror(EPIPE)));
}

/* Its reader gets what came before, and then the end. */
static void test_the_end(void **state)
{
    char byte;

    (void)state;
    open_streams(false, NULL, "127.0.0.1:7");
    assert_int_equal(shake_hands(), 1);
    assert_int_equal(tls_stream_read(server, &byte, 1), -1);
    assert_int_equal(tls_stream_write(client, "a", 1), 1);
    tls_stream_end(client);
    assert_int_equal(tls_stream_read(server, &byte, 1), 1);
    assert_int_equal(tls_stream_read(server, &byte, 1), 0);
    tls_stream_end(client); /* no harm */
    assert_int_equal(ERR_peek_error(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_client_context),
        TEST(test_server_context),
        TEST(test_files_that_cannot_be_used),
        TEST(test_no_memory),
        TEST(test_names),
        TEST(test_a_name_that_cannot_be_sent),
        TEST(test_a_stranger),
        TEST(test_an_end_in_the_handshake),
        TEST(test_a_farewell_in_the_handshake),
        TEST(test_no_tls_and_an_end),
        TEST(test_a_peer_that_resets),
        TEST(test_a_socket_that_is_forbidden),
        TEST(test_a_socket_that_says_nothing),
        TEST(test_a_connection_that_breaks),
        TEST(test_a_peer_that_breaks_the_rules),
        TEST(test_the_end),
    };

    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
