#include <string.h>

#include "spoa/core/decision/handover.h"
#include "spoa/deployment_parts.h"
#include "spoa/io/net/loop.h"

/* ---- wait ---- */

static struct deployment_group *group_of(const struct deployment *deployment,
                                         const struct deployment_service *service)
{
    return &deployment->groups[deployment->options.config->services[service - deployment->services].group];
}

/* `same` is what it replaces, or NULL. */
static enum handover_lack service_lack(const struct deployment *deployment,
                                       const struct deployment_service *service,
                                       const struct deployment_service *same, int64_t now_ms)
{
    voter_links_look(group_of(deployment, service)->links, service->place, now_ms);
    return handover_lack(service->service, same != NULL ? same->service : NULL, now_ms);
}

enum progress deployment_check_ready(const struct deployment *deployment, const struct deployment *former,
                                     struct deployment_look *look, size_t *io_budget)
{
    int64_t now_ms = clock_ms();

    look->lack = HANDOVER_READY;
    for (; look->good < deployment->service_count; look->good++, look->at++) {
        if (!progress_spend(io_budget))
            return PROGRESS_MORE;
        look->at %= deployment->service_count;
        const struct deployment_service *service = &deployment->services[look->at];
        look->lack = service_lack(deployment, service,
                                  deployment_find_service(former, service->settings.name), now_ms);
        if (look->lack != HANDOVER_READY) {
            look->good = 0;
            return PROGRESS_MORE;
        }
    }
    return PROGRESS_DONE;
}

/* ---- prepare ---- */

static bool prepare_cutter(struct deployment *deployment)
{
    const struct config_haproxy *haproxy = &deployment->options.config->haproxy;

    if (haproxy->runtime_api_count == 0 || deployment->cutter != NULL)
        return true;
    deployment->cutter = session_cutter_create(deployment->options.loop, haproxy, deployment->options.metrics,
                                               deployment->options.history);
    return deployment->cutter != NULL;
}

static bool watch_for_cuts(struct deployment *deployment, struct service *service,
                           const struct config_service *settings)
{
    return deployment->cutter == NULL ||
           session_cutter_watch(deployment->cutter, service,
                                config_service_backends(deployment->options.config, settings));
}

static bool watch_for_checks(struct deployment *deployment, struct service *service,
                             const struct config_service *config)
{
    const struct agent_check_settings settings = {
        .mode = config->check_mode,
        .delay_ms = config->check_delay_ms,
        .pulse_ms = config->check_pulse_ms,
    };

    return deployment->checks == NULL || agent_checks_add(deployment->checks, service, &settings);
}

static bool watch_for_hook(struct deployment *deployment, struct deployment_service *service,
                           const struct config_service *config)
{
    const struct hook_program program = {
        .command = config->on_switch,
        .timeout_ms = config->on_switch_timeout_ms,
        .retry_ms = config->on_switch_retry_ms,
    };

    return program.command == NULL ||
           hooks_watch(deployment->options.hooks, &service->hook, service->service, &program);
}

static bool prepare_service(struct deployment *deployment, size_t index, struct service_table *table)
{
    const struct config_service *config = &deployment->options.config->services[index];
    struct deployment_service *service = &deployment->services[index];

    service_hold_observers(service->service);
    if (!service_table_add(table, service->service))
        return false;
    decision_log_watch(&service->log, deployment->options.metrics, service->service);
    history_watch_service(&service->history, deployment->options.history, service->service);
    return watch_for_cuts(deployment, service->service, config) &&
           watch_for_checks(deployment, service->service, config) &&
           watch_for_hook(deployment, service, config);
}

enum progress deployment_prepare(struct deployment *deployment, struct service_table *table,
                                 size_t *io_budget)
{
    if (!prepare_cutter(deployment))
        return PROGRESS_FAILED;
    for (; deployment->prepared < deployment->service_count; deployment->prepared++) {
        if (!progress_spend(io_budget))
            return PROGRESS_MORE;
        if (!prepare_service(deployment, deployment->prepared, table))
            return PROGRESS_FAILED;
    }
    return PROGRESS_DONE;
}

/* ---- take over ---- */

static void inherit_group(struct deployment_group *group, const struct deployment *former, const char *name)
{
    const struct deployment_group *same = NULL;

    group->is_inherited = true;
    HASH_FIND(hh, former->groups_by_name, name, strlen(name), same);
    if (same != NULL)
        voter_links_inherit(group->links, same->links);
}

/* `same` is what it replaces in `former`; both may be NULL. */
static void hand_over(struct deployment *deployment, struct deployment_service *service,
                      const struct deployment *former, struct deployment_service *same, int64_t now_ms)
{
    struct deployment_group *group = group_of(deployment, service);
    const struct voter_group *voter_group = voter_links_group(group->links);
    int voters[QUORUM_VOTERS_MAX];

    if (former != NULL && !group->is_inherited)
        inherit_group(group, former, voter_group_name(voter_group));
    if (former != NULL && same != NULL) {
        decision_log_inherit(&service->log, &same->log);
        hooks_inherit(&service->hook, &same->hook);
        if (deployment->checks != NULL && former->checks != NULL)
            agent_checks_inherit(deployment->checks, former->checks, service->settings.name);
        voter_group_match(voter_group, voter_links_group(group_of(former, same)->links), voters);
    }
    handover(service->service, same != NULL ? same->service : NULL, voters, now_ms);
    voter_links_catch_up(group->links, service->place, now_ms);
    service->is_handed_over = true;
    deployment->handed_over++;
}

/* False if it is not ready. */
static bool take_place(struct deployment *deployment, struct deployment_service *service,
                       const struct deployment *former, struct service_table *table, bool by_force,
                       enum handover_lack *ret_lack)
{
    struct deployment_service *same = deployment_find_service(former, service->settings.name);
    int64_t now_ms = clock_ms();

    *ret_lack = service_lack(deployment, service, same, now_ms);
    if (former != NULL && !by_force && *ret_lack != HANDOVER_READY)
        return false;
    hand_over(deployment, service, former, same, now_ms);
    if (table != NULL)
        service_table_move(table, service->settings.name, now_ms);
    return true;
}

enum progress deployment_take_over(struct deployment *deployment, struct deployment *former,
                                   struct service_table *table, bool by_force, struct deployment_look *look,
                                   size_t *io_budget)
{
    size_t count = deployment->service_count;
    size_t looks = 0;

    if (former != NULL)
        session_cutter_follow(deployment->cutter, former->cutter);
    for (; deployment->handed_over < count && looks < count; looks++, deployment->cursor++) {
        size_t at = deployment->cursor % count;
        if (deployment->services[at].is_handed_over)
            continue;
        if (!progress_spend(io_budget))
            return PROGRESS_MORE;
        enum handover_lack lack = HANDOVER_READY;
        if (!take_place(deployment, &deployment->services[at], former, table, by_force, &lack))
            *look = (struct deployment_look){.at = at, .lack = lack};
    }
    return deployment->handed_over < count ? PROGRESS_MORE : PROGRESS_DONE;
}

bool deployment_finish(struct deployment *deployment, struct deployment *former, bool by_force)
{
    if (former != NULL && deployment->cutter != NULL &&
        !session_cutter_inherit(deployment->cutter, former->cutter) && !by_force)
        return false;
    session_cutter_begin(deployment->cutter, former != NULL ? former->cutter : NULL);
    return true;
}
