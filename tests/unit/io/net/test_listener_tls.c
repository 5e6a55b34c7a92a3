/* What an address asks of its peers, TLS or a token, through changes of the configuration. */
#include "tests/unit/io/net/listeners_fixture.h"

#include <dlfcn.h>

#include "spoa/io/net/tls.h"
#include "tests/unit/io/net/certificate_fixture.h"

struct ssl_ctx_st; /* OpenSSL may be missing */

static unsigned dropped; /* contexts that OpenSSL was given back */

/* In place of OpenSSL's. */
void SSL_CTX_free(struct ssl_ctx_st *context);
void SSL_CTX_free(struct ssl_ctx_st *context)
{
    void (*real)(struct ssl_ctx_st *) = NULL;
    void *found = dlsym(RTLD_NEXT, "SSL_CTX_free");

    assert_non_null(found);
    memcpy(&real, &found, sizeof(real));
    dropped += context != NULL;
    real(context);
}

static void secure(struct config_listen *listen)
{
    listen->tls = (struct config_tls){.is_on = true, .cert_file = certificate, .key_file = certificate_key};
}

/* The TLS of a connection to this address. */
static const struct tls *tls_at(const char *host, uint16_t port)
{
    assert_string_equal(who_takes(host, port), "spop");
    return spop.tls;
}

/* A reload reads the certificate again, and new connections have that; until then the former one is in force. */
static void test_reload(void **state)
{
    uint16_t port = free_port();
    struct file old = NO_FILE;
    struct file new = NO_FILE;

    (void)state;
    add_listen(&old, "127.0.0.1", port);
    add_listen(&old, "127.0.0.2", port);
    add_listen(&new, "127.0.0.1", port);
    add_listen(&new, "127.0.0.2", port);
    secure(&old.listens[0]);
    secure(&new.listens[0]);
    start_with(&old);
    const struct tls *first = tls_at("127.0.0.1", port);
    assert_non_null(first);
    assert_null(tls_at("127.0.0.2", port));
    assert_true(opens(&old, &new));
    assert_ptr_equal(tls_at("127.0.0.1", port), first);
    dropped = 0;
    listeners_settle(listeners, &new.agent);
    assert_int_equal(dropped, 1); /* the former key is not kept */
    assert_ptr_not_equal(tls_at("127.0.0.1", port), first);
    assert_non_null(spop.tls);
    assert_null(tls_at("127.0.0.2", port));
}

/* A certificate that cannot be read: nothing changes. */
static void test_bad_file(void **state)
{
    uint16_t port = free_port();
    struct file old = NO_FILE;
    struct file new = NO_FILE;
    char nowhere[] = "/nowhere.pem";

    (void)state;
    add_listen(&old, "127.0.0.1", port);
    secure(&old.listens[0]);
    start_with(&old);
    const struct tls *first = tls_at("127.0.0.1", port);
    add_listen(&new, "127.0.0.1", port);
    secure(&new.listens[0]);
    new.listens[0].tls.cert_file = nowhere;
    assert_false(opens(&old, &new));
    assert_non_null(strstr(error, "no certificate in 'tls-cert' '/nowhere.pem': No such file"));
    listeners_settle(listeners, &old.agent);
    assert_ptr_equal(tls_at("127.0.0.1", port), first);
}

/* A configuration that was given up may lie where the next one is. What that asked counts no more. */
static void test_given_up(void **state)
{
    uint16_t port = free_port();
    struct file old = NO_FILE;
    struct file new = NO_FILE;

    (void)state;
    add_listen(&old, "127.0.0.1", port);
    add_listen(&new, "127.0.0.1", port);
    start_with(&old);
    secure(&new.listens[0]);
    assert_true(opens(&old, &new));
    new.listens[0].tls = (struct config_tls){.is_on = false};
    assert_true(opens(&old, &new));
    listeners_settle(listeners, &new.agent);
    assert_null(tls_at("127.0.0.1", port));
}

/* 0.0.0.0 has a socket of its own beside one for both families where only one of them is for TLS. */
static void test_both_families(void **state)
{
    uint16_t port = free_port();
    struct file old = NO_FILE;
    struct file new = NO_FILE;

    (void)state;
    add_listen(&old, "[::]", port);
    add_listen(&new, "[::]", port);
    add_listen(&new, "0.0.0.0", port);
    secure(&new.listens[1]);
    start_with(&old);
    assert_null(tls_at("127.0.0.1", port));
    assert_true(opens(&old, &new));
    listeners_settle(listeners, &new.agent);
    assert_non_null(tls_at("127.0.0.1", port));
    assert_null(tls_at("[::1]", port));
    assert_true(opens(&new, &old));
    listeners_settle(listeners, &old.agent);
    assert_null(tls_at("127.0.0.1", port));
}

static void test_token(void **state)
{
    uint16_t port = free_port();
    struct file old = NO_FILE;
    struct file new = NO_FILE;
    char secret[] = "secret";

    (void)state;
    add_web(&old, "127.0.0.1", port);
    add_web(&new, "127.0.0.1", port);
    new.web[0].token.password = secret;
    start_with(&old);
    assert_string_equal(who_takes("127.0.0.1", port), "http");
    assert_null(http.token);
    assert_true(opens(&old, &new));
    listeners_settle(listeners, &new.agent);
    assert_string_equal(who_takes("127.0.0.1", port), "http");
    assert_ptr_equal(http.token, secret);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reload),        TEST(test_bad_file), TEST(test_given_up),
        TEST(test_both_families), TEST(test_token),
    };
    const struct CMUnitTest plain[] = {TEST(test_token)};

    if (strcmp(tls_version(), "not built") == 0)
        return cmocka_run_group_tests(plain, NULL, NULL);
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
