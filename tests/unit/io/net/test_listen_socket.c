/* Listening sockets on the loopback and in the file system. */
#include "proto/names.h"
#include "spoa/io/net/listen_socket.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spoa/io/net/socket_activation.h"
#include "spoa/io/net/socket_addr.h"

#define NOBODY 65534

static char directory[64];
static char error[LISTEN_SOCKET_ERROR_MAX];
static void (*after_bind)(void); /* what another process does between bind() and our next step */

/* In place of the C library's. */
int bind(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
    int result = (int)syscall(SYS_bind, fd, addr.__sockaddr__, len);

    if (result == 0 && after_bind != NULL)
        after_bind();
    return result;
}

static int set_up(void **state)
{
    (void)state;
    after_bind = NULL;
    snprintf(directory, sizeof(directory), "/tmp/listen-XXXXXX");
    error[0] = '\0';
    return mkdtemp(directory) == NULL;
}

/* Fails where something was left in it. */
static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

/* The address of a socket in the directory. */
static struct addr local_addr(void)
{
    char text[128];
    struct addr addr;

    snprintf(text, sizeof(text), "unix:%s/socket", directory);
    assert_true(addr_parse(span_of_text(text), &addr));
    return addr;
}

static struct listen_socket_options options_of(const struct addr *addr)
{
    return (struct listen_socket_options){.addr = addr, .mode = -1, .owner = "", .group = ""};
}

static int open_at(const struct addr *addr, struct listen_socket *ret_socket)
{
    struct listen_socket_options options = options_of(addr);

    return listen_socket_open(&options, ret_socket, error);
}

static bool accepts(const struct addr *addr)
{
    struct sockaddr_storage storage;
    socklen_t len;

    assert_true(socket_addr_from(addr, &storage, &len));
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_not_equal(fd, -1);
    bool is_accepted = connect(fd, (const struct sockaddr *)&storage, len) == 0;
    close(fd);
    return is_accepted;
}

static void tcp(void **state)
{
    const struct addr addr = {.kind = ADDR_IPV4, .ip = {127, 0, 0, 1}};
    struct listen_socket listening;
    struct listen_socket second;
    char text[ADDR_TEXT_MAX];

    (void)state;
    assert_int_equal(open_at(&addr, &listening), 0);
    assert_int_not_equal(listening.addr.port, 0); /* the kernel's choice */
    assert_true(accepts(&listening.addr));
    assert_true(fcntl(listening.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(listening.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(open_at(&listening.addr, &second), -1); /* in use */
    assert_non_null(strstr(error, addr_format(&listening.addr, text)));
    assert_non_null(strstr(error, "Address already in use"));
    struct addr bound = listening.addr;
    listen_socket_close(&listening);
    assert_int_equal(listening.fd, -1);
    listen_socket_close(&listening); /* no harm */
    assert_false(accepts(&bound));
}

static void host_name(void **state)
{
    struct listen_socket listening;
    struct addr addr;

    (void)state;
    assert_true(addr_parse(span_of_text("localhost:9012"), &addr));
    assert_int_equal(open_at(&addr, &listening), -1);
    assert_non_null(strstr(error, "localhost:9012"));
}

static void unix_socket(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket listening;
    struct listen_socket second;
    struct stat status;

    (void)state;
    options.mode = 0620;
    assert_int_equal(listen_socket_open(&options, &listening, error), 0);
    assert_true(addr_equals(&listening.addr, &addr));
    assert_int_equal(stat(addr.name, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0620);
    assert_true(accepts(&addr));
    assert_int_equal(open_at(&addr, &second), -1); /* in use: it stays */
    assert_non_null(strstr(error, addr.name));
    assert_true(accepts(&addr));
    listen_socket_close(&listening);
    assert_int_equal(access(addr.name, F_OK), -1);
}

/* What a killed agent leaves behind is replaced. */
static void abandoned_unix_socket(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket listening;

    (void)state;
    assert_int_equal(open_at(&addr, &listening), 0);
    close(listening.fd);
    assert_int_equal(access(addr.name, F_OK), 0);
    assert_int_equal(open_at(&addr, &listening), 0);
    assert_true(accepts(&addr));
    listen_socket_close(&listening);
}

/* A path that was given by mistake costs nobody a file. */
static void file_is_not_replaced(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket listening;
    struct stat status;

    (void)state;
    int fd = open(addr.name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_not_equal(fd, -1);
    close(fd);
    assert_int_equal(open_at(&addr, &listening), -1);
    assert_int_equal(lstat(addr.name, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    unlink(addr.name);
}

/* Nothing is bound then. */
static void unknown_owner(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket listening;

    (void)state;
    options.owner = "no-such-user-here";
    assert_int_equal(listen_socket_open(&options, &listening, error), -1);
    assert_string_equal(error, "unknown user 'no-such-user-here'");
    options.owner = "";
    options.group = "no-such-group-here";
    assert_int_equal(listen_socket_open(&options, &listening, error), -1);
    assert_string_equal(error, "unknown group 'no-such-group-here'");
    assert_int_equal(access(addr.name, F_OK), -1);
}

/* ---- another user may write in the folder ---- */

/* A path in the directory; valid until the next call. */
static const char *beside(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void put_file(const char *name, mode_t mode)
{
    int fd = open(beside(name), O_WRONLY | O_CREAT | O_CLOEXEC, mode);

    assert_int_not_equal(fd, -1);
    close(fd);
}

static struct stat status_of(const char *path)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    return status;
}

static mode_t mode_after_bind;

static void note_mode(void)
{
    mode_after_bind = status_of(beside("socket")).st_mode & 0777;
}

/* Whatever the umask is: at no time has anybody more rights than asked for. */
static void never_more_rights_than_asked_for(void **state)
{
    static const int modes[] = {0600, 0666, 0000, -1};
    struct addr addr = local_addr();
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket listening;

    (void)state;
    mode_t mask = umask(0027);
    after_bind = note_mode;
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        mode_t wanted = modes[i] != -1 ? (mode_t)modes[i] : 0777 & ~0027;
        options.mode = modes[i];
        assert_int_equal(listen_socket_open(&options, &listening, error), 0);
        assert_int_equal(mode_after_bind & ~wanted, 0);
        assert_int_equal(status_of(addr.name).st_mode & 0777, wanted);
        listen_socket_close(&listening);
    }
    assert_int_equal(umask(mask), 0027);
}

static void owner(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket listening;

    (void)state;
    if (geteuid() != 0)
        skip();
    options.owner = "nobody";
    options.group = "nogroup";
    options.mode = 0660;
    assert_int_equal(listen_socket_open(&options, &listening, error), 0);
    struct stat status = status_of(addr.name);
    assert_int_equal(status.st_uid, NOBODY);
    assert_int_equal(status.st_gid, NOBODY);
    assert_int_equal(status.st_mode & 0777, 0660);
    listen_socket_close(&listening);
}

static void put_link(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s", beside("socket"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(beside("victim"), path), 0);
}

static void put_victim(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s", beside("socket"));
    assert_int_equal(rename(beside("victim"), path), 0);
}

/* Opens while another user does `attack`. Whatever he puts there keeps its owner and its rights. */
static void check_swap(void (*attack)(void), const char *victim)
{
    struct addr addr = local_addr();
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket listening;

    options.mode = 0666;
    options.owner = geteuid() == 0 ? "nobody" : "";
    after_bind = attack;
    assert_int_equal(listen_socket_open(&options, &listening, error), -1);
    assert_non_null(strstr(error, addr.name));
    assert_non_null(strstr(error, "another process has replaced its file"));
    struct stat status = status_of(beside(victim));
    assert_int_equal(status.st_uid, geteuid());
    assert_int_equal(status.st_mode & 0777, 0600);
    unlink(beside("victim"));
    unlink(addr.name);
}

static void link_in_place_of_the_socket(void **state)
{
    (void)state;
    put_file("victim", 0600);
    check_swap(put_link, "victim");
}

/* That of a HAProxy in the same folder, for example. */
static void root_socket_in_place_of_ours(void **state)
{
    const struct addr addr = {.kind = ADDR_UNIX, .name = names_keep(span_of_text(beside("victim")))};
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket theirs;

    (void)state;
    options.mode = 0600;
    assert_int_equal(listen_socket_open(&options, &theirs, error), 0);
    check_swap(put_victim, "socket");
    close(theirs.fd);
}

/* Root may open everything: for what others may not we have to be another user. */
static void become_nobody(void)
{
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(directory, NOBODY, (gid_t)-1), 0);
    assert_int_equal(seteuid(NOBODY), 0);
}

static void become_ourselves(void)
{
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

/* A killed process of another user has left it. We may not open it, but may remove it. */
static void lock_of_another_user(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket listening;

    (void)state;
    put_file("socket.lock", 0);
    become_nobody();
    int result = open_at(&addr, &listening);
    become_ourselves();
    assert_int_equal(result, 0);
    listen_socket_close(&listening);
    assert_int_equal(access(beside("socket.lock"), F_OK), -1);
}

static void lock_that_cannot_be_removed(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket listening;

    (void)state;
    put_file("socket.lock", 0);
    become_nobody();
    assert_int_equal(chmod(directory, 0500), 0);
    int result = open_at(&addr, &listening);
    become_ourselves();
    chmod(directory, 0700);
    assert_int_equal(result, -1);
    assert_non_null(strstr(error, beside("socket.lock: Permission denied")));
    unlink(beside("socket.lock"));
}

/* Its process was killed before it gave the file its rights, so that the kernel lets nobody connect. */
static void abandoned_socket_without_rights(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket listening;

    (void)state;
    options.mode = 0;
    become_nobody();
    assert_int_equal(listen_socket_open(&options, &listening, error), 0);
    close(listening.fd);
    int result = open_at(&addr, &listening);
    bool is_open = accepts(&addr);
    become_ourselves();
    assert_int_equal(result, 0);
    assert_true(is_open);
    listen_socket_close(&listening);
}

/* ---- two processes, one path ---- */

/* A process that stops after another one has opened the path again. */
static void successor_keeps_its_socket(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket former;
    struct listen_socket next;

    (void)state;
    assert_int_equal(open_at(&addr, &former), 0);
    assert_int_equal(unlink(addr.name), 0); /* by hand, or by a clean-up of /run */
    assert_int_equal(open_at(&addr, &next), 0);
    listen_socket_close(&former);
    assert_true(accepts(&addr));
    listen_socket_close(&next);
}

/* What another process does while the first is between bind() and listen(). */
static int second_result;
static char second_error[LISTEN_SOCKET_ERROR_MAX];

static void open_second(void)
{
    struct addr addr = local_addr();
    struct listen_socket_options options = options_of(&addr);
    struct listen_socket second;

    after_bind = NULL;
    second_result = listen_socket_open(&options, &second, second_error);
}

/* The socket that is not listening yet is not taken for abandoned. */
static void two_starts_at_once(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket listening;

    (void)state;
    after_bind = open_second;
    assert_int_equal(open_at(&addr, &listening), 0);
    assert_int_equal(second_result, -1);
    assert_non_null(strstr(second_error, addr.name));
    assert_non_null(strstr(second_error, "another process is opening it"));
    assert_true(accepts(&addr));
    listen_socket_close(&listening);
}

static void linger(void)
{
    usleep(1000);
}

/* Pipes that are written to, or closed, to tell all processes. */
struct race {
    int go[2];
    int tried[2];
    int end[2];
};

/* Ends with 0 where it got the socket, with 1 where it was told why not. */
static void run_starter(const struct race *race)
{
    struct addr addr = local_addr();
    struct listen_socket listening;
    char byte = 0;

    close(race->go[1]);
    close(race->end[1]);
    after_bind = linger;
    (void)!read(race->go[0], &byte, 1);
    int result = open_at(&addr, &listening);
    (void)!write(race->tried[1], &byte, 1);
    (void)!read(race->end[0], &byte, 1);
    _exit(result == 0 ? 0 : strstr(error, addr.name) != NULL ? 1 : 2);
}

static void close_pipe(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

#define STARTERS 8
#define ROUNDS 20

/* Forks processes that start at once; how many of them got the socket. */
static int run_race(void)
{
    struct addr addr = local_addr();
    pid_t children[STARTERS];
    struct race race;
    int winners = 0;
    char byte;

    assert_int_equal(pipe(race.go) | pipe(race.tried) | pipe(race.end), 0);
    for (int i = 0; i < STARTERS; i++) {
        children[i] = fork();
        if (children[i] == 0)
            run_starter(&race);
    }
    assert_int_equal(write(race.go[1], "12345678", STARTERS), STARTERS);
    for (int i = 0; i < STARTERS; i++)
        assert_int_equal(read(race.tried[0], &byte, 1), 1);
    assert_true(accepts(&addr));
    assert_int_equal(write(race.end[1], "12345678", STARTERS), STARTERS);
    for (int i = 0; i < STARTERS; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        winners += WEXITSTATUS(status) == 0;
    }
    close_pipe(race.go);
    close_pipe(race.tried);
    close_pipe(race.end);
    return winners;
}

/* Where nothing is, and where a killed process has left its socket. */
static void many_starts_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(run_race(), 1);
        assert_int_equal(access(beside("socket.lock"), F_OK), -1);
    }
    unlink(beside("socket"));
}

/* The lock is the other user's to keep, but not to wait for. */
static void lock_that_is_kept(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket listening;

    (void)state;
    assert_int_equal(open_at(&addr, &listening), 0);
    int lock = open(beside("socket.lock"), O_RDONLY | O_CREAT | O_CLOEXEC, 0666);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    listen_socket_close(&listening); /* leaves the file */
    assert_int_equal(access(addr.name, F_OK), 0);
    assert_int_equal(open_at(&addr, &listening), -1);
    assert_non_null(strstr(error, beside("socket.lock: another process is opening it")));
    close(lock); /* a lock file that is left over locks nobody out */
    assert_int_equal(open_at(&addr, &listening), 0);
    listen_socket_close(&listening);
}

/* Of another agent: until it has given it up it is the one that removes the file. */
static void borrowed_socket(void **state)
{
    struct addr addr = local_addr();
    struct listen_socket former;
    struct listen_socket next;

    (void)state;
    assert_int_equal(open_at(&addr, &former), 0);
    assert_true(socket_activation_add(dup(former.fd), false));
    assert_int_equal(open_at(&addr, &next), 0);
    assert_true(next.is_lent);
    listen_socket_close(&next);
    assert_true(accepts(&addr));
    assert_true(socket_activation_add(dup(former.fd), false));
    assert_int_equal(open_at(&addr, &next), 0);
    former.is_lent = true;
    next.is_lent = false;
    listen_socket_close(&former);
    assert_true(accepts(&addr));
    listen_socket_close(&next);
    assert_int_equal(access(addr.name, F_OK), -1);
    socket_activation_drop();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tcp),
        TEST(host_name),
        TEST(unix_socket),
        TEST(abandoned_unix_socket),
        TEST(file_is_not_replaced),
        TEST(unknown_owner),
        TEST(never_more_rights_than_asked_for),
        TEST(owner),
        TEST(link_in_place_of_the_socket),
        TEST(root_socket_in_place_of_ours),
        TEST(lock_of_another_user),
        TEST(lock_that_cannot_be_removed),
        TEST(abandoned_socket_without_rights),
        TEST(successor_keeps_its_socket),
        TEST(two_starts_at_once),
        TEST(many_starts_at_once),
        TEST(lock_that_is_kept),
        TEST(borrowed_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
