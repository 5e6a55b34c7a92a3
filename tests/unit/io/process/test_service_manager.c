/* What the service manager is told, on a socket of ours in place of its own. */
#include "spoa/io/process/service_manager.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 512 /* of a message, with its end */

static char directory[64];
static struct sockaddr_un manager;
static int listening = -1;

/* Listens at the name, as NOTIFY_SOCKET has it. `@` begins an abstract one. */
static void listen_at(const char *name)
{
    size_t len = strlen(name);

    manager = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(manager.sun_path, name, len);
    if (name[0] == '@')
        manager.sun_path[0] = '\0';
    listening = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_not_equal(listening, -1);
    assert_int_equal(bind(listening, (const struct sockaddr *)&manager,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static int set_up(void **state)
{
    char name[96];

    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/manager-XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(name, sizeof(name), "%s/notify", directory);
    listen_at(name);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(listening);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    if (manager.sun_path[0] != '\0')
        unlink(manager.sun_path);
    return rmdir(directory);
}

/* The message that has come; "" if there is none. */
static const char *received(void)
{
    static char text[2 * TEXT_MAX];
    ssize_t got = recv(listening, text, sizeof(text) - 1, 0);

    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void test_messages(void **state)
{
    char longest[TEXT_MAX + 1];

    (void)state;
    service_manager_send("READY=1\nSTATUS=%d services", 3);
    assert_string_equal(received(), "READY=1\nSTATUS=3 services");
    memset(longest, 'x', sizeof(longest));
    longest[TEXT_MAX - 1] = '\0';
    service_manager_send("%s", longest);
    assert_string_equal(received(), longest);
    longest[TEXT_MAX - 1] = 'x';
    longest[TEXT_MAX] = '\0';
    service_manager_send("%s", longest); /* a part of it is not sent */
    service_manager_send("%s", "");
    assert_int_equal(recv(listening, longest, sizeof(longest), 0), -1);
    service_manager_send("%s", "x");
    assert_string_equal(received(), "x");
}

/* A message a second would use up the descriptors. */
static void test_nothing_is_left_open(void **state)
{
    (void)state;
    int before = dup(listening);
    close(before);
    service_manager_send("READY=1");
    int after = dup(listening);
    close(after);
    assert_int_equal(after, before);
}

static void test_an_abstract_socket(void **state)
{
    char name[64];

    (void)state;
    close(listening);
    unlink(manager.sun_path);
    (void)snprintf(name, sizeof(name), "@test_service_manager-%d", (int)getpid());
    listen_at(name);
    service_manager_send("WATCHDOG=1");
    assert_string_equal(received(), "WATCHDOG=1");
}

/* A socket that is not there, has no such name, or is not named at all, does no harm. */
static void test_no_manager(void **state)
{
    static const char *const names[] = {"", "relative", "/nowhere/notify"};
    char name[2 * sizeof(manager.sun_path)];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        service_manager_send("READY=1");
    }
    memset(name, '/', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    setenv("NOTIFY_SOCKET", name, 1);
    service_manager_send("READY=1");
    unsetenv("NOTIFY_SOCKET");
    service_manager_send("READY=1");
    assert_string_equal(received(), "");
}

/* A name that would fill the place of its end is not taken, although the kernel would take it. */
static void test_a_name_without_an_end(void **state)
{
    char name[sizeof(manager.sun_path) + 1];

    (void)state;
    close(listening);
    unlink(manager.sun_path);
    memset(name, '/', sizeof(name));
    memcpy(name, directory, strlen(directory));
    memcpy(name + sizeof(name) - sizeof("/notify"), "/notify", sizeof("/notify"));
    listen_at(name);
    service_manager_send("READY=1");
    assert_string_equal(received(), "");
    assert_int_equal(unlink(name), 0);
    manager.sun_path[0] = '\0';
}

static long long now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void test_a_reload(void **state)
{
    long long before_us = now_us();
    long long told_us = 0;
    char status[32] = "";

    (void)state;
    service_manager_reloading();
    assert_int_equal(sscanf(received(), "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=%31s", &told_us, status),
                     2);
    assert_true(told_us >= before_us && told_us <= now_us());
    assert_string_equal(status, "reloading");
}

/* In units in which the least that the manager can allow is 1. */
static int interval_half_us(void)
{
    return (int)(service_manager_watchdog_interval() * 2e6);
}

/* It is half of what the manager allows this process. */
static void test_watchdog(void **state)
{
    char pid[32];

    (void)state;
    assert_int_equal(interval_half_us(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(interval_half_us(), 30000000);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(interval_half_us(), 30000000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(interval_half_us(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages),   TEST(test_nothing_is_left_open),  TEST(test_an_abstract_socket),
        TEST(test_no_manager), TEST(test_a_name_without_an_end), TEST(test_a_reload),
        TEST(test_watchdog),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
