/* What the process is and may do after it has become another user, tried by a child: it is final. Needs root. */
#include "spoa/io/process/sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spoa/core/config/config.h"

#define BIT(capability) (UINT64_C(1) << (capability))

#ifdef __SANITIZE_ADDRESS__ /* for the leak check */
#define ALWAYS_KEPT BIT(CAP_SYS_PTRACE)
#define IS_DUMPABLE 1
#else
#define ALWAYS_KEPT UINT64_C(0)
#define IS_DUMPABLE 0
#endif

static char nobody[] = "nobody";
static char root[] = "root";
static char other_group[] = "daemon";
static char unknown[] = "nobody-at-all";

static bool fails_groups;
static bool fails_group;

/* In place of the C library's. */
int initgroups(const char *user, gid_t group)
{
    int (*next)(const char *, gid_t);

    *(void **)(void *)&next = dlsym(RTLD_NEXT, "initgroups");
    if (!fails_groups)
        return next(user, group);
    errno = ENOMEM;
    return -1;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int setresgid(gid_t real, gid_t effective, gid_t saved)
{
    if (!fails_group)
        return (int)syscall(SYS_setresgid, real, effective, saved);
    errno = EAGAIN;
    return -1;
}

/* What a child needs that fails: it has no test to end. */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            print_message("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                    \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

/* Runs `attempt` in a child, which ends by itself if something is wrong. */
static void in_a_child(void (*attempt)(void))
{
    int status;
    pid_t child;

    if (geteuid() != 0)
        skip();
    child = fork();
    if (child == 0) {
        attempt();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* A set of capabilities as the kernel shows it. */
static uint64_t set_of(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    uint64_t set = UINT64_MAX;
    char line[256];

    CHECK(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            (void)sscanf(line + strlen(name), ":%" SCNx64, &set);
    (void)fclose(file);
    return set;
}

/* Changes this process' capabilities: drops those of `dropped`, and passes on all others to programs. */
static void prepare(uint64_t dropped)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

    CHECK(syscall(SYS_capget, &header, sets) == 0);
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        sets[i].permitted &= ~(uint32_t)(dropped >> (32 * i));
        sets[i].effective = sets[i].permitted;
        sets[i].inheritable = sets[i].permitted;
    }
    CHECK(syscall(SYS_capset, &header, sets) == 0);
    CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) == 0);
}

/* The process has no more than `allowed` of what it had: `held`, and `bounds` for what it runs. */
static void check_sets(uint64_t held, uint64_t bounds, uint64_t allowed)
{
    CHECK(set_of("CapPrm") == (held & (allowed | ALWAYS_KEPT)));
    CHECK(set_of("CapEff") == (held & (allowed | ALWAYS_KEPT)));
    CHECK(set_of("CapBnd") == (bounds & (allowed | ALWAYS_KEPT)));
    CHECK(set_of("CapInh") == 0);
    CHECK(set_of("CapAmb") == 0);
}

static bool become(char *user, char *group, char error[SANDBOX_ERROR_MAX])
{
    const struct config_agent config = {.user = user, .group = group};

    error[0] = '\0';
    errno = EPERM; /* of something else before */
    return sandbox_become(&config, error);
}

/* One that is missing already changes nothing for those after it. */
static void stay_root(void)
{
    char error[SANDBOX_ERROR_MAX];

    prepare(0);
    CHECK(prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0) == 0);
    uint64_t held = set_of("CapPrm");
    uint64_t bounds = set_of("CapBnd");
    CHECK(become(NULL, NULL, error));
    check_sets(held, bounds,
               BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_CHOWN) | BIT(CAP_FOWNER) | BIT(CAP_DAC_OVERRIDE));
    CHECK(geteuid() == 0);
}

/* Root is a user as others are. */
static void become_root(void)
{
    char error[SANDBOX_ERROR_MAX];

    prepare(0);
    uint64_t held = set_of("CapPrm");
    CHECK(become(root, NULL, error));
    check_sets(held, set_of("CapBnd") & ALWAYS_KEPT, 0);
}

static void check_ids(uid_t uid, gid_t gid)
{
    uid_t uids[3];
    gid_t gids[3];
    gid_t others[64];

    CHECK(getresuid(&uids[0], &uids[1], &uids[2]) == 0 && getresgid(&gids[0], &gids[1], &gids[2]) == 0);
    for (size_t i = 0; i < 3; i++)
        CHECK(uids[i] == uid && gids[i] == gid);
    int count = getgroups(64, others);
    for (int i = 0; i < count; i++)
        CHECK(others[i] == gid);
}

static void check_hardened(void)
{
    struct rlimit cores;

    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK(getrlimit(RLIMIT_CORE, &cores) == 0);
    CHECK(cores.rlim_cur == 0 && cores.rlim_max == 0);
    CHECK(prctl(PR_GET_DUMPABLE) == IS_DUMPABLE);
}

static void become_nobody(void)
{
    const struct passwd *user = getpwnam(nobody);
    char error[SANDBOX_ERROR_MAX];

    CHECK(user != NULL);
    uid_t uid = user->pw_uid;
    gid_t gid = user->pw_gid;
    prepare(0);
    CHECK(become(nobody, NULL, error));
    check_ids(uid, gid);
    check_hardened();
    check_sets(0, set_of("CapBnd") & ALWAYS_KEPT, 0);
    /* It is that user now, and can be no other. */
    CHECK(become(nobody, NULL, error));
    CHECK(!become(root, NULL, error));
    CHECK(strcmp(error, "cannot become user 'root': Operation not permitted") == 0);
}

static void become_nobody_of_a_group(void)
{
    const struct passwd *user = getpwnam(nobody);
    const struct group *group = getgrnam(other_group);
    char error[SANDBOX_ERROR_MAX];

    CHECK(user != NULL && group != NULL);
    uid_t uid = user->pw_uid;
    gid_t gid = group->gr_gid;
    CHECK(become(nobody, other_group, error));
    check_ids(uid, gid);
}

/* It is told which of the two is unknown, and not why something else went wrong. */
static void become_unknown(void)
{
    static const char as_user[] = "cannot become user 'nobody-at-all': ";
    static const char as_group[] = "cannot become group 'nobody-at-all': ";
    char error[SANDBOX_ERROR_MAX];

    CHECK(!become(unknown, NULL, error));
    CHECK(strncmp(error, as_user, strlen(as_user)) == 0);
    CHECK(strstr(error, strerror(EPERM)) == NULL && strstr(error, strerror(0)) == NULL);
    CHECK(!become(nobody, unknown, error));
    CHECK(strncmp(error, as_group, strlen(as_group)) == 0);
    CHECK(geteuid() == 0);
}

/* Half a change is none: it is refused where one of its steps is. */
static void check_refused(int code)
{
    char expected[SANDBOX_ERROR_MAX];
    char error[SANDBOX_ERROR_MAX];

    (void)snprintf(expected, sizeof(expected), "cannot become user 'nobody': %s", strerror(code));
    CHECK(!become(nobody, NULL, error));
    CHECK(strcmp(error, expected) == 0);
}

static void become_without_the_groups(void)
{
    fails_groups = true;
    check_refused(ENOMEM);
}

static void become_without_the_group(void)
{
    fails_group = true;
    check_refused(EAGAIN);
}

static void become_without_the_user(void)
{
    prepare(BIT(CAP_SETUID));
    check_refused(EPERM);
}

static void test_root(void **state)
{
    (void)state;
    in_a_child(stay_root);
    in_a_child(become_root);
}

static void test_user(void **state)
{
    (void)state;
    in_a_child(become_nobody);
    in_a_child(become_nobody_of_a_group);
}

static void test_refused(void **state)
{
    (void)state;
    in_a_child(become_unknown);
    in_a_child(become_without_the_groups);
    in_a_child(become_without_the_group);
    in_a_child(become_without_the_user);
}

/* Without a change of the user. */
static void test_hardened(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        sandbox_harden();
        check_hardened();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_user),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hardened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
