/* What the parts of `rehearse` share: which server it is, how long HAProxy may take, which words tell of a failure. */
#include "spoa/cli/rehearse.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spoa/cli/rehearse_state.h"
#include "spoa/core/config/config.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/redis/reply.h"
#include "spoa/core/status/rehearsal.h"

static const uint8_t own_host[4] = {127, 0, 0, 1};

/* A process that answers the first command of each connection. */
static pid_t answering;
static struct addr where;

static struct service_server servers[2];
static struct config_service service = {.servers = servers, .server_count = 2};
static const struct config_credentials no_credentials;
static const struct config_tls no_tls;
static struct rehearse rehearse = {.service = &service, .credentials = &no_credentials, .tls = &no_tls};

static void answer_all(int listener)
{
    char bytes[256];

    for (;;) {
        int sock = accept(listener, NULL, NULL);
        if (recv(sock, bytes, sizeof(bytes), 0) > 0)
            (void)send(sock, "+PONG\r\n", 7, MSG_NOSIGNAL);
        close(sock);
    }
}

static int set_up(void **state)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(name);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    if (bind(listener, (struct sockaddr *)&name, len) == -1 || listen(listener, 8) == -1 ||
        getsockname(listener, (struct sockaddr *)&name, &len) == -1)
        return -1;
    where = addr_from_ip(own_host, ADDR_IPV4, ntohs(name.sin_port));
    rehearse.through = where;
    answering = fork();
    if (answering == 0)
        answer_all(listener);
    close(listener);
    return answering == -1 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)kill(answering, SIGKILL);
    return waitpid(answering, NULL, 0) == answering ? 0 : -1;
}

/* A client waits for 10 s, or 2 s longer than 'park'. */
static void patience(void **state)
{
    static const struct {
        int64_t park_ms;
        int expected_s;
    } rows[] = {{0, 10}, {8000, 10}, {8001, 10}, {9000, 11}, {60000, 62}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct timeval timeout = {.tv_sec = 0};
        socklen_t len = sizeof(timeout);
        service.park_ms = rows[i].park_ms;
        struct redis_client client = rehearse_open_through(&rehearse);
        assert_true(client.fd != -1);
        assert_int_equal(getsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &len), 0);
        assert_int_equal(timeout.tv_sec, rows[i].expected_s);
        redis_client_close(&client);
        assert_int_equal(client.fd, -1);
    }
}

static void which_server(void **state)
{
    const struct addr alias = addr_from_ip(own_host, ADDR_IPV4, 3);
    const struct addr stranger = addr_from_ip(own_host, ADDR_IPV4, 4);

    (void)state;
    servers[0].addr = addr_from_ip(own_host, ADDR_IPV4, 1);
    servers[1] = (struct service_server){
        .addr = addr_from_ip(own_host, ADDR_IPV4, 2), .aliases = &alias, .alias_count = 1};
    assert_int_equal(rehearse_find_server(&rehearse, &servers[0].addr), 0);
    assert_int_equal(rehearse_find_server(&rehearse, &servers[1].addr), 1);
    assert_int_equal(rehearse_find_server(&rehearse, &alias), 1);
    assert_int_equal(rehearse_find_server(&rehearse, &stranger), REHEARSAL_NOBODY);
    servers[1].alias_count = 0;
}

static void words_of_a_failure(void **state)
{
    struct redis_client client = {.fd = -1};
    char error[REHEARSE_ERROR_MAX] = "x";
    const struct reply refusal = {.kind = REPLY_ERROR, .text = span_of_text("ERR no")};
    const struct reply text = {.kind = REPLY_TEXT, .text = span_of_text("OK")};
    const struct reply number = {.kind = REPLY_INTEGER};

    (void)state;
    rehearse_copy_error(&client, NULL, error);
    assert_string_equal(error, "no reply");
    (void)snprintf(client.error, sizeof(client.error), "it broke");
    rehearse_copy_error(&client, NULL, error);
    assert_string_equal(error, "it broke");
    rehearse_copy_error(&client, &refusal, error);
    assert_string_equal(error, "ERR no");
    rehearse_copy_error(&client, &text, error);
    assert_string_equal(error, "OK");
    rehearse_copy_error(&client, &number, error);
    assert_string_equal(error, "a reply of another kind than expected");
}

/* A connection that is gone, or that wants a password, tells nothing; whatever was said before is forgotten. */
static void nobody_to_identify(void **state)
{
    struct redis_client client = {.fd = -1, .wants_password = true};
    char error[REHEARSE_ERROR_MAX] = "x";

    (void)state;
    (void)snprintf(client.error, sizeof(client.error), "NOAUTH");
    assert_int_equal(rehearse_identify(&rehearse, &client, error), REHEARSAL_NOBODY);
    assert_string_equal(error, "NOAUTH");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patience),
        cmocka_unit_test(which_server),
        cmocka_unit_test(words_of_a_failure),
        cmocka_unit_test(nobody_to_identify),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
