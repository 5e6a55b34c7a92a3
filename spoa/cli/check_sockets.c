/* The part of `check` that finds out who may connect to whose UNIX socket. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spoa/cli/check_state.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_rules.h"

/* Whom the packages run the agent as. */
#define PACKAGED_USER "sentinel-spoa"
#define GROUPS_MAX 256
/* What a socket gets where nobody says it. */
#define USUAL_MODE 0755

/* A user with groups, or the owner of a socket. */
struct account {
    char name[64];
    uid_t uid;
    gid_t gid;
};

/* False if the host has no such account. */
static bool find_account(const char *user, const char *group, struct account *ret_account)
{
    const struct passwd *entry = getpwnam(user);

    if (entry == NULL)
        return false;
    (void)snprintf(ret_account->name, sizeof(ret_account->name), "%s", user);
    ret_account->uid = entry->pw_uid;
    ret_account->gid = entry->pw_gid;
    if (group == NULL)
        return true;
    const struct group *found = getgrnam(group);
    if (found != NULL)
        ret_account->gid = found->gr_gid;
    return found != NULL;
}

/* Whom the agent runs as: `user`, or who runs this command, or, if that is root, the packages' user. */
static bool find_agent(const struct check *check, struct account *ret_account)
{
    const struct config_agent *agent = &check->config->agent;
    const struct passwd *self = getpwuid(geteuid());

    if (agent->user != NULL)
        return find_account(agent->user, agent->group, ret_account);
    if (geteuid() == 0 && find_account(PACKAGED_USER, agent->group, ret_account))
        return true;
    return self != NULL && find_account(self->pw_name, agent->group, ret_account);
}

/* ---- may they? ---- */

static bool is_in_group(const struct account *account, gid_t gid)
{
    gid_t groups[GROUPS_MAX];
    int count = GROUPS_MAX;

    if (getgrouplist(account->name, account->gid, groups, &count) == -1)
        count = 0;
    for (int i = 0; i < count; i++)
        if (groups[i] == gid)
            return true;
    return account->gid == gid;
}

/* Whether the mode of a socket lets the account connect. */
static bool mode_allows(const struct account *account, uid_t uid, gid_t gid, mode_t mode)
{
    if (account->uid == 0)
        return true;
    if (account->uid == uid)
        return (mode & S_IWUSR) != 0;
    return (mode & (is_in_group(account, gid) ? S_IWGRP : S_IWOTH)) != 0;
}

/* Whether the account may write at the path, folders on the way included. It is tried, in a process of that user; who may not
 * become the user cannot try. */
static bool may_write(const struct account *account, const char *path)
{
    int status = 0;

    if (geteuid() != 0)
        return account->uid != geteuid() || access(path, W_OK) == 0 || errno != EACCES;
    pid_t pid = fork();
    if (pid == 0) {
        if (initgroups(account->name, account->gid) == -1 || setgid(account->gid) == -1 ||
            setuid(account->uid) == -1)
            _exit(EXIT_SUCCESS);
        _exit(access(path, W_OK) == -1 && errno == EACCES ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    return pid == -1 || waitpid(pid, &status, 0) == -1 || !WIFEXITED(status) ||
           WEXITSTATUS(status) == EXIT_SUCCESS;
}

/* The group that a new socket gets if nobody says it: that of its folder, if it hands it down, or `own`. */
static gid_t usual_group(const char *path, gid_t own)
{
    const char *slash = strrchr(path, '/');
    char folder[ADDR_TEXT_MAX];
    struct stat status;

    if (slash == NULL)
        return own;
    (void)snprintf(folder, sizeof(folder), "%.*s/", (int)(slash - path), path);
    return stat(folder, &status) == 0 && (status.st_mode & S_ISGID) != 0 ? status.st_gid : own;
}

/* ---- HAProxy's socket, for the agent ---- */

/* By the line `stats socket`, for a socket that is not there yet. */
static bool line_allows(const struct account *agent, const struct haproxy_line *line, const char *path)
{
    const char *mode = haproxy_line_value(line, "mode");
    const char *user = haproxy_line_value(line, "user");
    const char *group = haproxy_line_value(line, "group");
    struct account owner = {.uid = 0};
    const struct group *found = group != NULL ? getgrnam(group) : NULL;

    if ((user != NULL && !find_account(user, NULL, &owner)) || (group != NULL && found == NULL))
        return true; /* it is another host's */
    return mode_allows(agent, owner.uid, found != NULL ? found->gr_gid : usual_group(path, 0),
                       mode != NULL ? (mode_t)strtoul(mode, NULL, 8) : USUAL_MODE);
}

static void check_api(struct check *check, const struct account *agent, const struct checked_api *api,
                      const struct haproxy_file *haproxy)
{
    const struct haproxy_section *section = NULL;
    const struct addr *addr = &api->api->addr;
    const struct haproxy_line *line = haproxy_rules_socket(haproxy, addr, &section);
    struct finding_place place = check_place(check, "haproxy", 0, "runtime-api", (size_t)(api - check->apis));
    struct stat status;
    char fix[CHECK_FIX_MAX];

    if (addr->kind != ADDR_UNIX || addr->name[0] == '@')
        return;
    (void)snprintf(check->user, sizeof(check->user), "%s", agent->name);
    bool is_there = stat(addr->name, &status) == 0;
    if (is_there ? may_write(agent, addr->name) : line == NULL || line_allows(agent, line, addr->name))
        return;
    if (line != NULL)
        place = (struct finding_place){.file = section->path, .line = line->number};
    (void)snprintf(fix, sizeof(fix),
                   "write `user haproxy group haproxy mode 660` in its line `stats socket`, and say `usermod "
                   "-aG haproxy "
                   "%s`",
                   agent->name);
    findings_add(&check->findings, FINDING_API_RIGHTS, place, api->name, fix,
                 "the agent's user, %s, may not connect there: no session is cut", agent->name);
}

/* ---- the agent's socket, for HAProxy ---- */

static bool listen_allows(const struct account *haproxy, const struct account *agent,
                          const struct config_listen *listen)
{
    struct account owner = *agent;
    const struct group *group = listen->group[0] != '\0' ? getgrnam(listen->group) : NULL;
    struct stat status;

    if (stat(listen->addr.name, &status) == 0)
        return may_write(haproxy, listen->addr.name);
    if ((listen->owner[0] != '\0' && !find_account(listen->owner, NULL, &owner)) ||
        (listen->group[0] != '\0' && group == NULL))
        return true;
    return mode_allows(haproxy, owner.uid,
                       group != NULL ? group->gr_gid : usual_group(listen->addr.name, agent->gid),
                       listen->mode != -1 ? (mode_t)listen->mode : USUAL_MODE);
}

static void check_listens(struct check *check, const struct account *agent, const struct haproxy_file *file)
{
    const struct haproxy_section *global = haproxy_file_find(file, "global", "");
    const struct haproxy_line *user = global != NULL ? haproxy_section_last(global, "user") : NULL;
    const struct haproxy_line *group = global != NULL ? haproxy_section_last(global, "group") : NULL;
    const struct config_listens *listens = &check->config->agent.listens;
    struct account haproxy;
    char text[ADDR_TEXT_MAX];
    char fix[CHECK_FIX_MAX];

    if (user == NULL ||
        !find_account(haproxy_word(user, 1), group != NULL ? haproxy_word(group, 1) : NULL, &haproxy))
        return;
    for (size_t i = 0; i < listens->count; i++) {
        const struct config_listen *listen = &listens->list[i];
        if (listen->addr.kind != ADDR_UNIX || listen->addr.name[0] == '@' ||
            listen_allows(&haproxy, agent, listen))
            continue;
        (void)addr_format(&listen->addr, text);
        (void)snprintf(fix, sizeof(fix), "write `listen = %s mode=660 group=%s`", text,
                       group != NULL ? haproxy_word(group, 1) : haproxy_word(user, 1));
        findings_add(&check->findings, FINDING_LISTEN_RIGHTS, check_place(check, "agent", 0, "listen", i),
                     text, fix, "HAProxy's user, %s, may not connect there: every client is refused",
                     haproxy.name);
    }
}

void check_sockets(struct check *check, const struct haproxy_file *haproxy)
{
    struct account agent;

    if (!find_agent(check, &agent))
        return;
    for (size_t i = 0; i < check->config->haproxy.runtime_api_count; i++)
        check_api(check, &agent, &check->apis[i], haproxy);
    check_listens(check, &agent, haproxy);
}
