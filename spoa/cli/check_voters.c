/* The part of `check` that asks voters who they are. */
#include <stdio.h>
#include <string.h>

#include "proto/span.h"
#include "spoa/cli/check_state.h"
#include "spoa/core/config/config.h"
#include "spoa/core/decision/server_map.h"
#include "spoa/core/redis/refusal.h"
#include "spoa/core/redis/reply.h"
#include "spoa/core/voters/node_reply.h"
#include "spoa/core/voters/sentinel_reply.h"

static void note_right(struct checked_voter *voter, const char *right)
{
    size_t len = strlen(voter->rights);

    if (strstr(voter->rights, right) == NULL)
        (void)snprintf(voter->rights + len, sizeof(voter->rights) - len, " %s", right);
}

/* "[sentinels]", "[nodes NAME]". */
static void name_section(const struct config_voters *group, char name[CHECK_FIX_MAX])
{
    (void)snprintf(name, CHECK_FIX_MAX, "[%s%s%s]", config_voters_word(group),
                   group->name[0] != '\0' ? " " : "", group->name);
}

/* The line of the voter's own address. */
static struct finding_place voter_place(const struct check *check, const struct checked_group *group,
                                        const struct checked_voter *voter)
{
    return check_place(check, "sentinels", group->index, "address", (size_t)(voter - group->voters));
}

bool check_is_refused(struct check *check, const struct checked_group *group, struct checked_voter *voter,
                      const struct reply *reply, const char *command, const char *right)
{
    if (reply == NULL || reply->kind != REPLY_ERROR || sentinel_reply_is_unknown_name(reply))
        return false;
    if (refusal_of(reply) == REFUSAL_RIGHT)
        note_right(voter, right);
    else
        findings_add(&check->findings, FINDING_VOTER_REFUSES, check_group_place(check, group, ""),
                     voter->name, NULL, "%s is refused: %.*s", command, SPAN_PRINTED(reply->text));
    return true;
}

static void lose_unreachable(struct check *check, const struct checked_group *group,
                             struct checked_voter *voter, const char *what)
{
    voter->is_lost = true;
    findings_add(&check->findings, FINDING_VOTER_UNREACHABLE, check_group_place(check, group, ""),
                 voter->name, NULL, "%s: %s", what, voter->client->error);
}

/* ---- which program it is ---- */

/* Whether a node of a map has this address. */
static bool is_mapped(const struct config *config, const struct addr *addr)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (config_service_find_server(&config->services[i], addr) != NULL)
            return true;
    return false;
}

static void lose_misplaced(struct check *check, const struct checked_group *group,
                           struct checked_voter *voter)
{
    voter->is_lost = true;
    voter->is_misplaced = true;
    findings_add(&check->findings, FINDING_NOT_A_SENTINEL, voter_place(check, group, voter), voter->name,
                 "write the address of the Sentinel there: its port is 26379 as a rule",
                 "this is a Redis, not a Sentinel: it has no vote");
}

/* Asks a peer that knows no SENTINEL MYID whether it is a Sentinel at all. */
static bool is_node(struct checked_voter *voter)
{
    static const char *const words[] = {"ROLE", NULL};
    const struct reply *reply = redis_client_ask(voter->client, words);

    return reply != NULL && node_reply_role(reply) != NODE_ROLE_UNKNOWN;
}

/* ---- passwords ---- */

static void lose_password(struct check *check, const struct checked_group *group, struct checked_voter *voter)
{
    const struct config_lines *lines = &check->config->lines;
    const char *key =
        config_lines_have(lines, "sentinels", group->index, "password-file") ? "password-file" : "password";
    const struct finding_place place = check_place(check, "sentinels", group->index, key, 0);
    bool has_password = group->group->credentials.password != NULL;
    char section[CHECK_FIX_MAX];
    char fix[CHECK_FIX_MAX + 64];

    if (!group->group->is_nodes && is_mapped(check->config, voter->addr)) {
        lose_misplaced(check, group, voter); /* a Sentinel may have no password where the nodes have one */
        return;
    }
    voter->is_lost = true;
    name_section(group->group, section);
    (void)snprintf(fix, sizeof(fix), "%s `password` or `password-file` in %s (%s:%u)",
                   has_password ? "correct" : "set", section, place.file, place.line);
    findings_add(&check->findings, FINDING_VOTER_PASSWORD, place, voter->name, fix,
                 has_password ? "the password is refused: %s" : "a password is asked for: %s",
                 voter->client->error);
}

/* ---- identity and subscription ---- */

static const char *const identity_rights[] = {
    [VOTER_SOURCE_SENTINEL] = "+sentinel|myid",
    [VOTER_SOURCE_REPLICATION] = "+info",
    [VOTER_SOURCE_CLUSTER] = "+cluster|myid",
};

static void report_no_identity(struct check *check, const struct checked_group *group,
                               struct checked_voter *voter, const char *words)
{
    static const char *const needs[] = {
        [VOTER_SOURCE_SENTINEL] = "it needs SENTINEL MYID of Redis 6.2 or later",
        [VOTER_SOURCE_REPLICATION] = "it needs INFO with a run_id",
        [VOTER_SOURCE_CLUSTER] = "it needs CLUSTER MYID",
    };

    findings_add(&check->findings, FINDING_NO_IDENTITY, check_group_place(check, group, ""), voter->name,
                 needs[group->group->source], "it does not say who it is, so it has no vote: %s", words);
}

static void ask_identity(struct check *check, const struct checked_group *group, struct checked_voter *voter)
{
    enum voter_source source = group->group->source;
    const struct reply *reply = check_ask_identity(voter->client, source, voter->myid);
    char words[sizeof(voter->client->error)];

    if (reply == NULL) {
        lose_unreachable(check, group, voter, "it does not answer");
        return;
    }
    if (voter->myid[0] != '\0')
        return;
    enum refusal refusal = refusal_of(reply);
    if (refusal == REFUSAL_RIGHT) {
        note_right(voter, identity_rights[source]);
        return;
    }
    if (refusal == REFUSAL_NONE)
        (void)snprintf(words, sizeof(words), "%s", check_why_no_identity(source));
    else
        (void)snprintf(words, sizeof(words), "%.*s", SPAN_PRINTED(reply->text));
    if (refusal == REFUSAL_COMMAND && !group->group->is_nodes && is_node(voter))
        lose_misplaced(check, group, voter);
    else
        report_no_identity(check, group, voter, words);
}

static void ask_subscribe(struct check *check, const struct checked_group *group, struct checked_voter *voter)
{
    static const char *const words[] = {"SUBSCRIBE", "+switch-master", NULL};
    struct redis_client client =
        redis_client_open(voter->addr, &group->group->credentials, &group->group->tls);
    const struct reply *reply = redis_client_ask(&client, words);

    bool is_channel = reply != NULL && reply->kind == REPLY_ERROR &&
                      memmem(reply->text.data, reply->text.len, "channel", strlen("channel")) != NULL;
    (void)check_is_refused(check, group, voter, reply, "SUBSCRIBE",
                           is_channel ? "&+switch-master" : "+subscribe");
    redis_client_close(&client);
}

static void check_voter(struct check *check, const struct checked_group *group, struct checked_voter *voter)
{
    if (voter->client->parser == NULL)
        lose_unreachable(check, group, voter, "it cannot be reached");
    else if (voter->client->wants_password)
        lose_password(check, group, voter);
    else
        ask_identity(check, group, voter);
    if (!voter->is_lost && group->group->subscribe && !group->group->is_nodes)
        ask_subscribe(check, group, voter);
}

static void check_twins(struct check *check, const struct checked_group *group)
{
    for (size_t i = 0; i < group->group->address_count; i++)
        for (size_t k = 0; k < i && group->voters[i].myid[0] != '\0'; k++)
            if (strcmp(group->voters[i].myid, group->voters[k].myid) == 0) {
                group->voters[i].is_misplaced = true;
                findings_add(&check->findings, FINDING_SAME_IDENTITY,
                             voter_place(check, group, &group->voters[i]), group->voters[i].name,
                             "give each an address of its own, and each its own configuration file",
                             "this and %s are one %s (its identity): they have one vote",
                             group->voters[k].name, group->group->is_nodes ? "node" : "Sentinel");
                break;
            }
}

void check_voters(struct check *check)
{
    for (size_t i = 0; i < check->config->group_count; i++) {
        struct checked_group *group = &check->groups[i];
        for (size_t k = 0; k < group->group->address_count; k++)
            check_voter(check, group, &group->voters[k]);
        check_twins(check, group);
    }
}

void check_rights(struct check *check)
{
    char fix[CHECK_FIX_MAX];

    for (size_t i = 0; i < check->config->group_count; i++) {
        const struct checked_group *group = &check->groups[i];
        const char *user = group->group->credentials.username;
        for (size_t k = 0; k < group->group->address_count; k++) {
            const struct checked_voter *voter = &group->voters[k];
            if (voter->rights[0] == '\0')
                continue;
            (void)snprintf(fix, sizeof(fix), "there: `ACL SETUSER %s%s`", user != NULL ? user : "default",
                           voter->rights);
            findings_add(&check->findings, FINDING_VOTER_RIGHTS, check_group_place(check, group, ""),
                         voter->name, fix, "the user lacks rights:%s", voter->rights);
        }
    }
}
