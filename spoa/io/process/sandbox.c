#include "spoa/io/process/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/addr.h"
#include "spoa/core/base/log.h"
#include "spoa/core/config/config.h"

#ifdef __SANITIZE_ADDRESS__ /* the leak check traces us like a debugger */
#define IS_DUMPABLE 1
#else
#define IS_DUMPABLE 0
#endif

void sandbox_harden(void)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};

    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, IS_DUMPABLE);
    (void)setrlimit(RLIMIT_CORE, &none);
}

/* ---- user and capabilities ---- */

/* What a reload as root may need: low ports, and to give UNIX sockets other owners. */
#define KEPT_AS_ROOT                                                                                         \
    (1U << CAP_NET_BIND_SERVICE | 1U << CAP_CHOWN | 1U << CAP_FOWNER | 1U << CAP_DAC_OVERRIDE)

#ifdef __SANITIZE_ADDRESS__ /* for the leak check */
#define ALWAYS_KEPT (1U << CAP_SYS_PTRACE)
#else
#define ALWAYS_KEPT 0U
#endif

/* Afterwards nothing gives the process more than `kept`, not even a program that it runs. Must be called
 * while it is still root. */
static void drop_bounds(uint32_t kept)
{
    kept |= ALWAYS_KEPT;
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
        if (capability >= 32 || (kept & 1U << capability) == 0)
            (void)prctl(PR_CAPBSET_DROP, capability);
}

/* Keeps only the capabilities in `kept`, and adds none. */
static void drop_capabilities(uint32_t kept)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, sets) == -1)
        return;
    sets[0].effective &= kept | ALWAYS_KEPT;
    sets[0].permitted &= kept | ALWAYS_KEPT;
    for (size_t i = 1; i < _LINUX_CAPABILITY_U32S_3; i++)
        sets[i] = (struct __user_cap_data_struct){.effective = 0};
    /* This ends the ambient ones, too (capabilities(7)). */
    sets[0].inheritable = 0;
    (void)syscall(SYS_capset, &header, sets);
}

static bool fail(char error[SANDBOX_ERROR_MAX], const char *what, const char *name)
{
    (void)snprintf(error, SANDBOX_ERROR_MAX, "cannot become %s '%s': %s", what, name,
                   errno != 0 ? strerror(errno) : "there is none");
    return false;
}

bool sandbox_become(const struct config_agent *config, char error[SANDBOX_ERROR_MAX])
{
    if (config->user == NULL) {
        drop_bounds(KEPT_AS_ROOT);
        drop_capabilities(KEPT_AS_ROOT);
        return true;
    }
    errno = 0;
    const struct passwd *user = getpwnam(config->user);
    if (user == NULL)
        return fail(error, "user", config->user);
    uid_t uid = user->pw_uid;
    gid_t gid = user->pw_gid;
    if (config->group != NULL) {
        errno = 0;
        const struct group *group = getgrnam(config->group);
        if (group == NULL)
            return fail(error, "group", config->group);
        gid = group->gr_gid;
    }
    drop_bounds(0);
    if (geteuid() != uid && (initgroups(config->user, gid) == -1 || setresgid(gid, gid, gid) == -1 ||
                             setresuid(uid, uid, uid) == -1))
        return fail(error, "user", config->user);
    drop_capabilities(0);
    /* A change of user makes the process dumpable again. */
    sandbox_harden();
    return true;
}

/* ---- files ---- */

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* With the lock file of socket_file.h, which is not written to. */
#define SOCKETS                                                                                              \
    (READ | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)
/* All rights of Landlock's first version. */
#define FIRST_VERSION                                                                                        \
    (READ | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |     \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |           \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |             \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* Of later versions, which the system's header may not know. */
#define ACCESS_REFER (UINT64_C(1) << 13)     /* links and renames into other folders */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)  /* truncate(2), of files that may not be written to */
#define ACCESS_IOCTL_DEV (UINT64_C(1) << 15) /* ioctl(2) on devices */
#define SCOPE_ABSTRACT (UINT64_C(1) << 0)    /* abstract UNIX sockets of other processes */
#define SCOPE_SIGNAL (UINT64_C(1) << 1)      /* signals to other processes */

/* The kernel's struct landlock_ruleset_attr as of version 6. Older kernels take it where the rest is 0. */
struct ruleset {
    uint64_t files;
    uint64_t ports;
    uint64_t scopes;
};

/* What each version can forbid. TCP ports (version 4) stay allowed: a reload may name others. */
static const struct {
    int version;
    struct ruleset handled;
} versions[] = {
    {1, {.files = FIRST_VERSION}},
    {2, {.files = ACCESS_REFER}},
    {3, {.files = ACCESS_TRUNCATE}},
    {5, {.files = ACCESS_IOCTL_DEV}},
    {6, {.scopes = SCOPE_ABSTRACT | SCOPE_SIGNAL}},
};

/* The version that the kernel has; -1 with errno where it has none. */
static int landlock_version(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

/* All that the version can forbid, but what we need. */
static struct ruleset handled_by(int version)
{
    const char *manager = getenv("NOTIFY_SOCKET");
    struct ruleset handled = {.files = 0};

    for (size_t i = 0; i < sizeof(versions) / sizeof(*versions) && versions[i].version <= version; i++) {
        handled.files |= versions[i].handled.files;
        handled.scopes |= versions[i].handled.scopes;
    }
    if (manager != NULL && manager[0] == '@')
        handled.scopes &= ~SCOPE_ABSTRACT;
    return handled;
}

/* What OpenSSL, the C library with the modules of its name service, and our metrics may read, at any time. */
static const char *const read_paths[] = {
    "/etc",
    "/proc",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/lib64",
    "/usr/share",
    "/usr/local/share",
    "/var/lib/ca-certificates",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/connman",
    "/run/netconfig",
    "/run/nscd",
    "/var/lib/sss",
    "/dev/urandom",
    "/sys/devices/system/cpu",
};

/* They may be links to elsewhere. */
static const char *const name_files[] = {
    "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf",
};

/* A path that does not exist needs no right. */
static void allow(int ruleset, const char *path, uint64_t access)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};

    if (fd == -1)
        return;
    /* The rule is refused if `path` is a file: it has no entries to make, remove or list. */
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == -1) {
        rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE;
        (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    }
    close(fd);
}

static void allow_folder(int ruleset, const char *path, uint64_t access)
{
    char folder[PATH_MAX];

    if (strlen(path) >= sizeof(folder))
        return;
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        (void)snprintf(folder, sizeof(folder), ".");
    else
        (void)snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
    allow(ruleset, folder, access);
}

/* Allows the folder of `path`, because files are replaced by others of their name. If `path` is a link,
 * also allows the folder that it leads to. */
static void allow_beside(int ruleset, const char *path, uint64_t access)
{
    if (path == NULL)
        return;
    char *real = realpath(path, NULL);
    allow_folder(ruleset, path, access);
    if (real != NULL)
        allow_folder(ruleset, real, access);
    free(real);
}

static void allow_listeners(int ruleset, const struct config_listens *listens)
{
    for (size_t i = 0; i < listens->count; i++)
        if (listens->list[i].addr.kind == ADDR_UNIX)
            allow_beside(ruleset, listens->list[i].addr.name, SOCKETS);
}

static void allow_secret(void *context, const char *path)
{
    const int *ruleset = context;

    allow_beside(*ruleset, path, READ);
}

static void allow_all(int ruleset, const struct config *config, const char *file)
{
    const char *runtime = getenv("RUNTIME_DIRECTORY"); /* systemd.exec(5) */

    for (size_t i = 0; i < sizeof(read_paths) / sizeof(*read_paths); i++)
        allow(ruleset, read_paths[i], READ);
    for (size_t i = 0; i < sizeof(name_files) / sizeof(*name_files); i++)
        allow_beside(ruleset, name_files[i], READ);
    allow_beside(ruleset, file, READ);
    if (runtime != NULL)
        allow(ruleset, runtime, SOCKETS);
    allow_listeners(ruleset, &config->agent.listens);
    allow_listeners(ruleset, &config->agent.checks);
    allow_listeners(ruleset, &config->agent.web);
    allow_listeners(ruleset, &config->agent.takeovers);
    config_each_file(config, allow_secret, &ruleset);
}

/* Returns Landlock's version, or 0 with errno. */
static int restrict_process(const struct config *config, const char *file)
{
    int version = landlock_version();
    const struct ruleset handled = handled_by(version);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);

    if (ruleset == -1)
        return 0;
    allow_all(ruleset, config, file);
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) == -1)
        version = 0;
    int code = errno;
    close(ruleset);
    errno = code;
    return version;
}

/* Programs would inherit our limits on files and could not even be started. */
static bool runs_programs(const struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (config->services[i].on_switch != NULL)
            return true;
    return false;
}

void sandbox_enter(const struct config *config, const char *file)
{
    if (config->agent.sandbox && runs_programs(config)) {
        log_event(EVENT_SANDBOX, log_text("files", "all"), log_text("reason", "'on-switch' runs programs"));
        return;
    }
    if (!config->agent.sandbox) {
        log_event(EVENT_SANDBOX, log_text("files", "all"), log_text("reason", "'sandbox = no'"));
        return;
    }
    int version = restrict_process(config, file);
    if (version > 0)
        log_event(EVENT_SANDBOX, log_text("files", "its own"), log_number("landlock", version));
    else
        log_event(EVENT_SANDBOX, log_text("files", "all"), log_text("reason", strerror(errno)));
}
