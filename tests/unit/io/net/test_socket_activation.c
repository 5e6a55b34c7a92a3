/* Descriptors that the service manager passes, in a process of their own: they have fixed numbers. */
#include "spoa/io/net/socket_activation.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_FD 3

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

/* Passes a socket that listens, one that does not, and a file. 0 if only the first is closed. */
static int drop_three(void)
{
    char pid[32];
    int files[] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_STREAM, 0),
                   open("/dev/null", O_RDONLY)};

    if (listen(files[0], 1) == -1)
        return 2;
    for (int i = 0; i < 3; i++)
        files[i] = fcntl(files[i], F_DUPFD, 100);
    for (int i = 0; i < 3; i++)
        if (dup2(files[i], FIRST_FD + i) == -1)
            return 2;
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "3", 1);
    socket_activation_drop();
    return is_open(FIRST_FD) || !is_open(FIRST_FD + 1) || !is_open(FIRST_FD + 2);
}

static void only_listening_sockets_are_closed(void **state)
{
    int status;

    (void)state;
    pid_t child = fork();
    if (child == 0)
        _exit(drop_three());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_listening_sockets_are_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
