/* What the sandbox forbids, tried by a child: it is final. */
#include "spoa/io/process/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/addr.h"
#include "spoa/core/config/config.h"
#include "tests/lib/log_capture.h"

#define CREATE_RULESET_VERSION 1U /* linux/landlock.h */
#define LISTS 4

static char directory[64];
static char path[96];         /* of a file in it, the configuration's */
static char sockets[96];      /* a folder beside it */
static char socket_name[128]; /* of a socket there, as a configuration has it */
static int listening;         /* of another process: an abstract socket */
static struct sockaddr_un abstract;
static socklen_t abstract_len;

static void make_abstract_socket(void)
{
    abstract = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(abstract.sun_path + 1, sizeof(abstract.sun_path) - 1, "test_sandbox-%d", (int)getpid());
    abstract_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract.sun_path + 1));
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (const struct sockaddr *)&abstract, abstract_len), 0);
    assert_int_equal(listen(listening, 8), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/sandbox-XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/a.conf", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    (void)snprintf(sockets, sizeof(sockets), "%s.d", directory);
    (void)snprintf(socket_name, sizeof(socket_name), "unix:%s/s", sockets);
    assert_int_equal(mkdir(sockets, 0700), 0);
    make_abstract_socket();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(listening);
    unsetenv("NOTIFY_SOCKET");
    return unlink(path) | rmdir(directory) | rmdir(sockets);
}

/* The lists of addresses in the configuration. */
static struct config_listens *list_of(struct config *config, unsigned number)
{
    switch (number) {
    case 0:
        return &config->agent.listens;
    case 1:
        return &config->agent.checks;
    case 2:
        return &config->agent.web;
    default:
        return &config->agent.takeovers;
    }
}

/* The configuration has the addresses in this list; LISTS: in none. */
static unsigned listed_in = LISTS;

/* Two addresses: one of them is a UNIX socket in the folder `sockets`. */
static void list_addresses(struct config *config)
{
    if (listed_in == LISTS)
        return;
    struct config_listens *list = list_of(config, listed_in);
    list->list = calloc(2, sizeof(*list->list));
    if (list->list == NULL || !addr_parse(span_of_text("127.0.0.1:1"), &list->list[listed_in % 2].addr) ||
        !addr_parse(span_of_text(socket_name), &list->list[1 - listed_in % 2].addr))
        _exit(255);
    list->count = 2;
}

/* The kernel's version of Landlock. */
static int landlock_version(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
}

static const char *file = path; /* the configuration, as it is named */

/* Runs `attempt` in a child that has entered the sandbox; what it returns. */
static int inside(int (*attempt)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct config *config = config_create();
        log_capture_begin(LOG_LEVEL_DEBUG);
        config->agent.sandbox = true;
        list_addresses(config);
        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        sandbox_enter(config, file);
        config_destroy(config);
        _exit(attempt());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int code_of(int result)
{
    return result == -1 ? errno : 0;
}

static int read_file(void)
{
    return code_of(open(path, O_RDONLY | O_CLOEXEC));
}

static int write_file(void)
{
    return code_of(open(path, O_WRONLY | O_CLOEXEC));
}

static int truncate_file(void)
{
    return code_of(truncate(path, 0));
}

static int ask_device(void)
{
    int count;
    int device = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

    return device == -1 ? 255 : code_of(ioctl(device, RNDGETENTCNT, &count));
}

/* As a listener does, at its begin and at its end. */
static int bind_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", strchr(socket_name, '/'));
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == -1)
        return errno;
    return code_of(unlink(address.sun_path));
}

static int connect_abstract(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return code_of(connect(fd, (const struct sockaddr *)&abstract, abstract_len));
}

static int signal_parent(void)
{
    return code_of(kill(getppid(), 0));
}

static int signal_itself(void)
{
    return code_of(kill(getpid(), 0));
}

static int version_in_log(void)
{
    char expected[80];

    (void)snprintf(expected, sizeof(expected), "info sandbox files=its own landlock=%d", landlock_version());
    return strcmp(log_capture_last("sandbox"), expected) != 0;
}

static void first_version(void **state)
{
    (void)state;
    if (landlock_version() < 1)
        skip();
    assert_int_equal(inside(read_file), 0);
    assert_int_equal(inside(write_file), EACCES);
    assert_int_equal(inside(version_in_log), 0);
}

/* The file may be a link into another folder, or its name may have no folder. */
static void names_of_the_file(void **state)
{
    char link[sizeof(sockets) + 2];
    char before[256];

    (void)state;
    if (landlock_version() < 1)
        skip();
    (void)snprintf(link, sizeof(link), "%s/l", sockets);
    assert_int_equal(symlink(path, link), 0);
    file = link;
    int through_link = inside(read_file);
    assert_int_equal(unlink(link), 0);
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(directory), 0);
    file = strrchr(path, '/') + 1;
    int in_this_folder = inside(read_file);
    assert_int_equal(chdir(before), 0);
    file = path;
    assert_int_equal(through_link, 0);
    assert_int_equal(in_this_folder, 0);
}

static int read_system(void)
{
    static const char *const paths[] = {
        "/etc", "/etc/hosts", "/etc/resolv.conf", "/proc/self/stat",         "/usr/lib",
        "/lib", "/usr/share", "/dev/urandom",     "/sys/devices/system/cpu",
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        if (open(paths[i], O_RDONLY | O_CLOEXEC) == -1 && errno != ENOENT)
            return errno;
    return 0;
}

/* What the C library reads later on. */
static void files_of_the_system(void **state)
{
    (void)state;
    assert_int_equal(inside(read_system), 0);
}

/* Sockets come and go where the configuration has some, and nowhere else. */
static void folders_of_sockets(void **state)
{
    (void)state;
    if (landlock_version() < 1)
        skip();
    assert_int_equal(inside(bind_socket), EACCES);
    for (listed_in = 0; listed_in < LISTS; listed_in++)
        assert_int_equal(inside(bind_socket), 0);
}

/* All that the kernel can forbid is forbidden. */
static void later_versions(void **state)
{
    int version = landlock_version();

    (void)state;
    assert_int_equal(inside(truncate_file), version >= 3 ? EACCES : 0);
    assert_int_equal(inside(ask_device), version >= 5 ? EACCES : 0);
    assert_int_equal(inside(connect_abstract), version >= 6 ? EPERM : 0);
    assert_int_equal(inside(signal_parent), version >= 6 ? EPERM : 0);
    assert_int_equal(inside(signal_itself), 0);
}

/* The service manager may be reached by an abstract socket only. */
static void manager_with_an_abstract_socket(void **state)
{
    (void)state;
    setenv("NOTIFY_SOCKET", "@somewhere", 1);
    assert_int_equal(inside(connect_abstract), 0);
    setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
    assert_int_equal(inside(connect_abstract), landlock_version() >= 6 ? EPERM : 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_version),      TEST(names_of_the_file), TEST(files_of_the_system),
        TEST(folders_of_sockets), TEST(later_versions),    TEST(manager_with_an_abstract_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
