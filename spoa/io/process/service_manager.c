#include "spoa/io/process/service_manager.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void send_text(const char *path, const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);

    if (len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return;
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

void service_manager_send(const char *format, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    char text[512];
    va_list args;

    if (path == NULL)
        return;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len > 0 && (size_t)len < sizeof(text))
        send_text(path, text);
}

void service_manager_reloading(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    service_manager_send("RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reloading",
                         (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

/* A number from the environment. 0 if `pid_name` names another process: then it is not meant for us. */
static unsigned long long read_number(const char *name, const char *pid_name)
{
    const char *value = getenv(name);
    const char *pid = getenv(pid_name);

    if (value == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getpid()))
        return 0;
    return strtoull(value, NULL, 10);
}

double service_manager_watchdog_interval(void)
{
    /* Half of what the manager allows. */
    return (double)read_number("WATCHDOG_USEC", "WATCHDOG_PID") / 1e6 / 2.0;
}
