/* What the sandbox asks of a kernel of any version. It is ours here, so that it need not be asked in a child. */
#include "spoa/io/process/sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spoa/core/config/config.h"
#include "tests/lib/log_capture.h"

#define RULES_MAX 128
#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ (READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define SOCKETS                                                                                              \
    (READ | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)

struct rule {
    char path[PATH_MAX];
    uint64_t access;
};

/* The kernel. */
static struct {
    int version;       /* 0: it has no Landlock */
    int restrict_code; /* why it refuses to restrict the process; 0: it does not */
    uint64_t handled[3];
    struct rule rules[RULES_MAX];
    size_t count;
    bool is_restricted;
} kernel;

static long refuse(int code)
{
    errno = code;
    return -1;
}

static long create_ruleset(const void *asked, size_t size)
{
    if (kernel.version == 0)
        return refuse(EOPNOTSUPP);
    if (asked == NULL)
        return kernel.version;
    assert_int_equal(size, sizeof(kernel.handled));
    memcpy(kernel.handled, asked, size);
    kernel.count = 0;
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* As the kernel does: a file has no entries. */
static long add_rule(const struct landlock_path_beneath_attr *asked)
{
    struct rule *rule = &kernel.rules[kernel.count];
    struct stat status;
    char link[64];

    assert_int_equal(fstat(asked->parent_fd, &status), 0);
    if (!S_ISDIR(status.st_mode) && (asked->allowed_access & ~(uint64_t)READ_FILE) != 0)
        return refuse(EINVAL);
    assert_true(kernel.count < RULES_MAX);
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", asked->parent_fd);
    ssize_t len = readlink(link, rule->path, sizeof(rule->path) - 1);
    assert_true(len > 0);
    rule->path[len] = '\0';
    rule->access = asked->allowed_access;
    kernel.count++;
    return 0;
}

/* In place of the C library's. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
long syscall(long number, ...)
{
    static long (*next)(long, ...);
    va_list args;
    long values[6];

    va_start(args, number);
    for (size_t i = 0; i < 6; i++)
        values[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_landlock_create_ruleset)
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        return create_ruleset((const void *)values[0], (size_t)values[1]);
    if (number == SYS_landlock_add_rule)
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        return add_rule((const struct landlock_path_beneath_attr *)values[2]);
    if (number == SYS_landlock_restrict_self) {
        assert_int_equal(values[1], 0);
        kernel.is_restricted = kernel.restrict_code == 0;
        return kernel.is_restricted ? 0 : refuse(kernel.restrict_code);
    }
    if (next == NULL)
        *(void **)(void *)&next = dlsym(RTLD_NEXT, "syscall");
    return next(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

static struct config *config;

static int set_up(void **state)
{
    (void)state;
    memset(&kernel, 0, sizeof(kernel));
    kernel.version = 6;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("RUNTIME_DIRECTORY");
    config = config_create();
    if (config == NULL)
        return -1;
    config->agent.sandbox = true;
    log_capture_begin(LOG_LEVEL_DEBUG);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    config_destroy(config);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    return 0;
}

/* The kernel's rules for this path: how many, and what they allow together. */
static size_t rules_for(const char *path, uint64_t *ret_access)
{
    size_t count = 0;

    *ret_access = 0;
    for (size_t i = 0; i < kernel.count; i++) {
        if (strcmp(kernel.rules[i].path, path) != 0)
            continue;
        *ret_access |= kernel.rules[i].access;
        count++;
    }
    return count;
}

static void check_allowed(const char *path, uint64_t access)
{
    uint64_t allowed;

    if (rules_for(path, &allowed) == 0)
        fail_msg("no rule for %s", path);
    assert_int_equal(allowed, access);
}

/* Of each version all that it can forbid, but TCP ports. */
static void versions(void **state)
{
    static const uint64_t files[] = {0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff, 0xffff, 0xffff};
    char expected[64];

    (void)state;
    for (int version = 1; version <= 7; version++) {
        kernel.version = version;
        kernel.is_restricted = false;
        sandbox_enter(config, "/nowhere/a.conf");
        assert_true(kernel.is_restricted);
        assert_int_equal(kernel.handled[0], files[version]);
        assert_int_equal(kernel.handled[1], 0);
        assert_int_equal(kernel.handled[2], version >= 6 ? 3 : 0);
        (void)snprintf(expected, sizeof(expected), "info sandbox files=its own landlock=%d", version);
        assert_string_equal(log_capture_last("sandbox"), expected);
    }
}

/* An abstract socket of the service manager stays in reach; any other name of one needs nothing. */
static void sockets_of_the_manager(void **state)
{
    static const char *const names[] = {"/@", "@a", ""};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        sandbox_enter(config, "/nowhere/a.conf");
        assert_int_equal(kernel.handled[2], i == 1 ? 2 : 3);
    }
}

static void check_all_files(const char *reason)
{
    char expected[128];

    (void)snprintf(expected, sizeof(expected), "info sandbox files=all reason=%s", reason);
    assert_string_equal(log_capture_last("sandbox"), expected);
    assert_false(kernel.is_restricted);
}

/* What the kernel cannot do, or does not, is told. */
static void kernels_that_refuse(void **state)
{
    (void)state;
    kernel.restrict_code = E2BIG;
    sandbox_enter(config, "/nowhere/a.conf");
    check_all_files(strerror(E2BIG));
    kernel.version = 0;
    sandbox_enter(config, "/nowhere/a.conf");
    check_all_files(strerror(EOPNOTSUPP));
}

static void where_there_is_none(void **state)
{
    (void)state;
    config->services = calloc(2, sizeof(*config->services));
    assert_non_null(config->services);
    config->service_count = 2;
    sandbox_enter(config, "/nowhere/a.conf");
    assert_true(kernel.is_restricted);
    kernel.is_restricted = false;
    for (size_t i = 0; i < 2; i++) {
        config->services[i].on_switch = strdup("/bin/true");
        sandbox_enter(config, "/nowhere/a.conf");
        check_all_files("'on-switch' runs programs");
        free(config->services[i].on_switch);
        config->services[i].on_switch = NULL;
    }
    config->agent.sandbox = false;
    sandbox_enter(config, "/nowhere/a.conf");
    check_all_files("'sandbox = no'");
}

/* The folder of each file that the C library reads for names, and of what it leads to. */
static size_t rules_for_names(void)
{
    static const char *const names[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
                                        "/etc/host.conf", "/etc/gai.conf"};
    size_t count = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char *real = realpath(names[i], NULL);
        count++;
        if (real != NULL && strncmp(real, "/etc/", 5) == 0 && strchr(real + 5, '/') == NULL)
            count++;
        free(real);
    }
    return count;
}

static void files_of_the_system(void **state)
{
    uint64_t allowed;

    (void)state;
    sandbox_enter(config, NULL);
    assert_int_equal(rules_for("/etc", &allowed), 1 + rules_for_names());
    assert_int_equal(allowed, READ);
    check_allowed("/usr/lib", READ);
    check_allowed("/dev/urandom", READ_FILE); /* it is no folder */
    if (access("/sys/devices/system/cpu", F_OK) == 0)
        check_allowed("/sys/devices/system/cpu", READ);
    assert_int_equal(rules_for("/", &allowed), 0);
    assert_int_equal(rules_for("/dev", &allowed), 0);
}

/* Its folder is allowed, and nothing above it. */
static void folder_of_the_file(void **state)
{
    char folder[PATH_MAX];
    uint64_t allowed;

    (void)state;
    assert_non_null(getcwd(folder, sizeof(folder)));
    sandbox_enter(config, "a.conf");
    check_allowed(folder, READ);
    sandbox_enter(config, "/tmp/a.conf");
    check_allowed("/tmp", READ);
    assert_int_equal(rules_for(folder, &allowed), 0);
    assert_int_equal(rules_for("/", &allowed), 0);
    sandbox_enter(config, "/a.conf");
    check_allowed("/", READ);
}

/* A path that is too long is not cut: that would be another folder. */
static void path_that_is_too_long(void **state)
{
    char path[PATH_MAX + 1] = "/tmp";
    uint64_t allowed;

    (void)state;
    for (size_t len = strlen(path); len < PATH_MAX; len += 2)
        memcpy(path + len, "/.", 3);
    sandbox_enter(config, path);
    assert_int_equal(rules_for("/tmp", &allowed), 0);
    path[PATH_MAX - 1] = '\0';
    sandbox_enter(config, path);
    check_allowed("/tmp", READ);
}

/* Files with passwords are read again by a reload. */
static void folder_of_a_password(void **state)
{
    struct config_listen *listen = calloc(1, sizeof(*listen));

    (void)state;
    assert_non_null(listen);
    assert_true(addr_parse(span_of_text("127.0.0.1:1"), &listen->addr));
    listen->token.password_file = strdup("/var/token");
    config->agent.web.list = listen;
    config->agent.web.count = 1;
    sandbox_enter(config, "/nowhere/a.conf");
    check_allowed("/var", READ);
}

/* The manager's folder for our sockets. */
static void folder_of_the_service(void **state)
{
    (void)state;
    setenv("RUNTIME_DIRECTORY", "/var", 1);
    sandbox_enter(config, "/nowhere/a.conf");
    check_allowed("/var", SOCKETS);
}

/* The descriptor that would be opened after the next one. */
static int second_free_descriptor(void)
{
    int first = dup(STDIN_FILENO);
    int second = dup(STDIN_FILENO);

    close(first);
    close(second);
    return second;
}

static void nothing_is_left_open(void **state)
{
    int before = second_free_descriptor();

    (void)state;
    sandbox_enter(config, "/tmp/a.conf");
    assert_int_equal(second_free_descriptor(), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(versions),
        TEST(sockets_of_the_manager),
        TEST(kernels_that_refuse),
        TEST(where_there_is_none),
        TEST(files_of_the_system),
        TEST(folder_of_the_file),
        TEST(path_that_is_too_long),
        TEST(folder_of_a_password),
        TEST(folder_of_the_service),
        TEST(nothing_is_left_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
