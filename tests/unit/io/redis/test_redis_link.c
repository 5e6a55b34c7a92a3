/* The link: commands out, replies in, every way to lose a connection. */
#include "tests/unit/io/redis/redis_link_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/un.h>

#include "spoa/io/redis/reply_parser.h"

/* Runs a connection on which the peer says `text`, and the one loss that must follow. */
static void check_lost(const char *text, const char *reason)
{
    talk.commands = 1;
    peer_says(text);
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.lost > 0);
    if (strstr(talk.reasons[0], reason) == NULL)
        fail_msg("lost by '%s', expected '%s'", talk.reasons[0], reason);
    assert_int_equal(talk.lost, 1);
    assert_int_equal(conversation.phase, CONVERSATION_WAITING);
    AWAIT(peer.talking.fd == -1);
}

static void commands_in_one_segment(void **state)
{
    (void)state;
    talk.commands = 3;
    peer_says("+a\r\n+b\r\n+c\r\n");
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.replies == 3);
    assert_string_equal(peer.bytes, "*2\r\n$3\r\nASK\r\n$1\r\n0\r\n*2\r\n$3\r\nASK\r\n$1\r\n1\r\n"
                                    "*2\r\n$3\r\nASK\r\n$1\r\n2\r\n");
    assert_int_equal(peer.reads, 1);
    assert_string_equal(talk.last_reply, "c;");
    assert_int_equal(talk.lost, 0);
    /* connect, connected, replies; more only where the kernel splits the replies. */
    assert_true(talk.stepped >= 3 && talk.stepped <= 5);
}

/* Where there is nothing to write it does not wait to be let write: that would keep the processor busy. */
static void an_idle_link_sleeps(void **state)
{
    (void)state;
    talk.commands = 1;
    peer_says("+a\r\n");
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.replies == 1);
    unsigned stepped = talk.stepped;
    for (unsigned i = 0; i < 20; i++)
        ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(talk.stepped, stepped);
}

static void replies_byte_by_byte(void **state)
{
    (void)state;
    talk.commands = 2;
    peer.say_slowly = true;
    peer_says("*3\r\n$9\r\n127.0.0.1\r\n:6379\r\n*1\r\n+in\r\n-ERR no\r\n");
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.replies == 1);
    assert_string_equal(talk.last_reply, "127.0.0.1;6379;in;");
    AWAIT(talk.replies == 2);
    assert_string_equal(talk.last_reply, "ERR no;");
    assert_int_equal(talk.lost, 0);
}

static void subscription_goes_on(void **state)
{
    (void)state;
    talk.commands = 1;
    talk.is_endless = true;
    settings.silence_ms = 50;
    peer.say_slowly = true;
    peer_says("*3\r\n+subscribe\r\n+ch\r\n:1\r\n*3\r\n+message\r\n+ch\r\n+hello\r\n");
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.replies == 2);
    assert_string_equal(talk.last_reply, "message;ch;hello;");
    assert_int_equal(talk.lost, 0);
}

static void unsolicited_reply(void **state)
{
    (void)state;
    peer.speaks_first = true;
    peer_says("+OK\r\n+OK\r\n");
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.lost > 0 && peer.closed == 1);
    assert_string_equal(talk.reasons[0], "unexpected reply");
    assert_int_equal(talk.lost, 1);
    assert_int_equal(talk.replies, 0);
}

static void refused_verdict_closes(void **state)
{
    (void)state;
    talk.is_refused = true;
    check_lost("-NOPERM\r\n+more\r\n", "refused");
    assert_int_equal(talk.replies, 1);
    assert_int_equal(peer.closed, 1);
}

static void garbage(void **state)
{
    (void)state;
    check_lost("SSH-2.0-OpenSSH\r\n", "Protocol error, got \"S\"");
    assert_int_equal(peer.closed, 1);
}

static void huge_bulk(void **state)
{
    size_t size = REPLY_PARSER_BYTES_MAX + 65536;
    char *text = malloc(size + 1);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', size);
    text[size] = '\0';
    memcpy(text, "$2000000000\r\n", 13);
    check_lost(text, "reply too large");
    free(text);
}

static void huge_array(void **state)
{
    (void)state;
    check_lost("*2147483647\r\n", "reply too large");
}

static void deep_nesting(void **state)
{
    (void)state;
    check_lost("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "nested");
}

static void close_in_mid_reply(void **state)
{
    (void)state;
    peer.closes = true;
    check_lost("*2\r\n$9\r\n127.0", "connection closed");
    assert_int_equal(talk.ends[0], CONVERSATION_END_CLOSED);
    assert_int_equal(talk.replies, 0);
}

static void connection_refused(void **state)
{
    (void)state;
    start_link(NULL);
    AWAIT(talk.lost > 0);
    assert_string_equal(talk.reasons[0], strerror(ECONNREFUSED));
    assert_int_equal(talk.ends[0], CONVERSATION_END_REFUSED);
    assert_int_equal(talk.connected, 0);
    assert_int_equal(conversation.phase, CONVERSATION_WAITING);
}

/* Nothing of the peer is heard where there is no way to it. Nobody connects to a multicast address. */
static void no_way_there(void **state)
{
    (void)state;
    addr = (struct addr){.kind = ADDR_IPV4, .ip = {224, 0, 0, 1}, .port = addr.port};
    start_link(NULL);
    AWAIT(talk.lost > 0);
    assert_int_equal(talk.ends[0], CONVERSATION_END_SILENT);
}

/* A full backlog: Linux drops the SYN, so that the attempt neither succeeds nor fails. */
static void connect_timeout(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(addr.port)};
    int fillers[4];

    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(listen(peer.accepting.fd, 0), 0);
    for (size_t i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, sizeof(address));
    }
    settings.connect_timeout_ms = 30;
    int free_one = dup(peer.accepting.fd);
    close(free_one);
    start_link(NULL);
    AWAIT(talk.lost > 0);
    assert_int_equal(dup(peer.accepting.fd), free_one); /* nothing is left open */
    close(free_one);
    assert_string_equal(talk.reasons[0], "connect timeout");
    assert_int_equal(talk.ends[0], CONVERSATION_END_SILENT);
    assert_int_equal(talk.connected, 0);
    for (size_t i = 0; i < 4; i++)
        close(fillers[i]);
}

static void silent_peer(void **state)
{
    (void)state;
    settings.silence_ms = 30;
    talk.commands = 1;
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.lost > 0 && peer.closed == 1);
    assert_string_equal(talk.reasons[0], "reply timeout");
    assert_int_equal(talk.connected, 1);
}

/* The half reply, and the commands, of one connection are no part of the next. */
static void reconnect(void **state)
{
    (void)state;
    settings.retry_min_ms = 1;
    settings.retry_max_ms = 1;
    talk.commands = 1;
    peer.closes = true;
    peer_says("$5\r\nab");
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.lost == 1);
    peer.closes = false;
    peer_says("+whole\r\n");
    AWAIT(talk.replies == 1);
    assert_string_equal(talk.last_reply, "whole;");
    assert_string_equal(peer.bytes, "*2\r\n$3\r\nASK\r\n$1\r\n0\r\n");
    assert_true(talk.connected >= 2 && talk.connected <= 3);
}

/* What the peer said before it closed is heard first, and is the reason. */
static void last_words_are_heard(void **state)
{
    (void)state;
    peer.closes = true;
    check_lost("-ERR go away\r\n", "ERR go away");
    assert_string_equal(talk.last_reply, "ERR go away;");
    assert_int_equal(talk.ends[0], CONVERSATION_END_SENT_AWAY);
}

static void no_room_for_us(void **state)
{
    (void)state;
    peer.closes = true;
    check_lost("-ERR max number of clients reached\r\n", "ERR max number of clients reached");
    assert_int_equal(talk.ends[0], CONVERSATION_END_SENT_AWAY);
    assert_int_equal(talk.replies, 0);
}

/* Found out while sending from within `stepped`: reported once, later, in an event of its own. */
static void reset_found_by_pump(void **state)
{
    struct linger at_once = {.l_onoff = 1};

    (void)state;
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.connected == 1 && peer.accepted == 1);
    assert_int_equal(setsockopt(peer.talking.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    peer_hang_up();
    talk.commands = 1;
    unsigned stepped = talk.stepped;
    for (int i = 0; i < 3; i++)
        redis_link_pump(redis_link);
    assert_int_equal(talk.asked, 1);
    assert_int_equal(talk.lost, 0);
    assert_int_equal(talk.stepped, stepped);
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(talk.lost, 1);
    assert_int_equal(talk.ends[0], CONVERSATION_END_CLOSED);
    assert_int_equal(conversation.phase, CONVERSATION_WAITING);
    assert_int_equal(talk.stepped, stepped + 1);
}

/* No event of the socket tells of this one; and the next connection works. */
static void send_failure_is_reported(void **state)
{
    (void)state;
    peer.is_deaf = true;
    settings.retry_min_ms = 1;
    settings.retry_max_ms = 1;
    peer_says("+again\r\n");
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.connected == 1 && peer.accepted == 1);
    assert_int_equal(shutdown(find_socket(), SHUT_WR), 0);
    talk.commands = 1;
    redis_link_pump(redis_link);
    assert_int_equal(talk.lost, 0);
    peer.is_deaf = false;
    AWAIT(talk.replies == 1);
    assert_int_equal(talk.lost, 1);
    assert_string_equal(talk.reasons[0], strerror(EPIPE));
    assert_int_equal(talk.ends[0], CONVERSATION_END_CLOSED);
    assert_string_equal(talk.last_reply, "again;");
}

static void pump_sends_at_once(void **state)
{
    (void)state;
    peer_says("+pong\r\n");
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.connected == 1 && peer.accepted == 1);
    talk.commands = 1;
    unsigned stepped = talk.stepped;
    redis_link_pump(redis_link);
    assert_int_equal(talk.asked, 1);
    assert_int_equal(talk.stepped, stepped);
    AWAIT(talk.replies == 1);
}

static void set_buffer(int fd, int option, int size)
{
    assert_int_equal(setsockopt(fd, SOL_SOCKET, option, &size, sizeof(size)), 0);
}

/* A peer that does not read: what waits is bounded, the loop does not spin, and all arrives in the end. */
static void slow_reader(void **state)
{
    char *expected = malloc(PEER_BYTES_MAX);
    size_t len = 0;

    (void)state;
    assert_non_null(expected);
    talk.is_large = true;
    peer.is_deaf = true;
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.connected == 1 && peer.accepted == 1);
    /* By hand, or the kernel would take as much as the machine's settings allow. */
    set_buffer(find_socket(), SO_SNDBUF, 65536);
    set_buffer(peer.talking.fd, SO_RCVBUF, 65536);
    talk.commands = LARGE_COMMANDS;
    redis_link_pump(redis_link);
    unsigned before = 0;
    do {
        before = talk.asked;
        ev_run(loop, EVRUN_ONCE);
    } while (talk.asked > before && !is_late);
    assert_true(talk.asked >= 1 && talk.asked <= LARGE_COMMANDS - 1);
    int64_t began_ms = clock_ms();
    unsigned stepped = talk.stepped;
    AWAIT(talk.stepped >= stepped + 6);
    assert_true(clock_ms() - began_ms >= 50);
    ev_io_start(loop, &peer.talking);
    for (unsigned i = 0; i < LARGE_COMMANDS; i++)
        len += (size_t)snprintf(expected + len, PEER_BYTES_MAX - len,
                                "*3\r\n$3\r\nASK\r\n$%d\r\n%u\r\n$%d\r\n%.*s\r\n", i < 10 ? 1 : 2, i,
                                LARGE_ARG, LARGE_ARG, large);
    AWAIT(peer.got >= len);
    assert_int_equal(peer.got, len);
    assert_memory_equal(peer.bytes, expected, len);
    assert_int_equal(talk.lost, 0);
    free(expected);
}

static void check_option(int fd, int level, int option, int least, int most)
{
    int value = 0;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    assert_true(value >= least && value <= most);
}

static void socket_options(void **state)
{
    (void)state;
    is_patient = false;
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.connected == 1);
    int fd = find_socket();
    assert_int_not_equal(fd, -1);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    check_option(fd, IPPROTO_TCP, TCP_NODELAY, 1, 1);
    check_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1, 1);
    check_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 1, 10);
    check_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1, 5);
    check_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 1, 5);
    redis_link_destroy(redis_link);
    redis_link = NULL;
    assert_int_equal(find_socket(), -1);
    assert_int_equal(talk.lost, 0);
}

/* One of thousands that are asked all the time: the kernel need not ask, too. */
static void no_keep_alive(void **state)
{
    (void)state;
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.connected == 1);
    check_option(find_socket(), IPPROTO_TCP, TCP_NODELAY, 1, 1);
    check_option(find_socket(), SOL_SOCKET, SO_KEEPALIVE, 0, 0);
}

static void unix_socket(void **state)
{
    char directory[] = "/tmp/redis_link.XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", directory);
    close(peer.accepting.fd);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ev_io_set(&peer.accepting, fd, EV_READ);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    peer_listen(4);
    addr = (struct addr){.kind = ADDR_UNIX, .name = address.sun_path};
    talk.commands = 1;
    peer_says("+local\r\n");
    start_link(NULL);
    AWAIT(talk.replies == 1);
    assert_string_equal(talk.last_reply, "local;");
    unlink(address.sun_path);
    rmdir(directory);
}

/* The loop stands still for so long that a reply is overdue. But the reply came in time, and is read first. */
static void reply_during_a_stall(void **state)
{
    (void)state;
    settings.silence_ms = 1000;
    talk.commands = 1;
    peer_says("");
    peer_listen(4);
    start_link(NULL);
    AWAIT(peer.reads == 1);
    assert_int_equal(send(peer.talking.fd, "+yes\r\n", 6, MSG_NOSIGNAL), 6);
    (void)poll(NULL, 0, (int)settings.silence_ms + 100);
    ev_run(loop, EVRUN_ONCE);
    assert_int_equal(talk.lost, 0);
    assert_int_equal(talk.replies, 1);
}

static void destroyed_while_connecting(void **state)
{
    (void)state;
    peer_listen(4);
    start_link(NULL);
    AWAIT(talk.stepped == 1);
    assert_int_equal(conversation.phase, CONVERSATION_CONNECTING);
    redis_link_destroy(redis_link);
    redis_link = NULL;
    assert_int_equal(talk.lost, 0);
    redis_link_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_in_one_segment),
        TEST(an_idle_link_sleeps),
        TEST(replies_byte_by_byte),
        TEST(subscription_goes_on),
        TEST(unsolicited_reply),
        TEST(refused_verdict_closes),
        TEST(garbage),
        TEST(huge_bulk),
        TEST(huge_array),
        TEST(deep_nesting),
        TEST(close_in_mid_reply),
        TEST(connection_refused),
        TEST(no_way_there),
        TEST(connect_timeout),
        TEST(silent_peer),
        TEST(reconnect),
        TEST(last_words_are_heard),
        TEST(no_room_for_us),
        TEST(reset_found_by_pump),
        TEST(send_failure_is_reported),
        TEST(pump_sends_at_once),
        TEST(slow_reader),
        TEST(socket_options),
        TEST(no_keep_alive),
        TEST(unix_socket),
        TEST(reply_during_a_stall),
        TEST(destroyed_while_connecting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
