#include "spoa/core/status/summary.h"

#include "spoa/core/base/text.h"
#include "spoa/core/decision/service.h"
#include "spoa/core/haproxy/runtime_health.h"
#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"

/* ---- counting ---- */

enum tone summary_alarm_tone(enum alarm_kind kind)
{
    /* Somebody's clients are refused. All others tell what may happen. */
    return kind == ALARM_UNKNOWN_SERVICE ? TONE_BAD : TONE_WAIT;
}

static void note_tone(struct summary *summary, enum tone tone)
{
    if (tone > summary->tone)
        summary->tone = tone;
}

static void add_alarms(struct summary *summary, const struct alarms *alarms, const struct summary_name *name)
{
    for (enum alarm_kind kind = ALARM_VOTER_COUNT; alarms->raised >> kind != 0; kind++) {
        struct summary_alarm *alarm = &summary->alarms[kind];
        if (!alarms_is_raised(alarms, kind))
            continue;
        if (alarm->count < SUMMARY_NAMES) {
            alarm->names[alarm->count] = *name;
            alarm->sets[alarm->count] = alarms;
        }
        alarm->count++;
        note_tone(summary, summary_alarm_tone(kind));
    }
}

void summary_add_service(struct summary *summary, const struct voter_group *group,
                         const struct service *service, int64_t now_ms)
{
    const struct summary_name name = {"", service_settings(service)->name};
    bool is_troubled = service_is_in_trouble(service);
    bool had_trouble = summary->troubled > 0;

    summary->services++;
    summary->troubled += is_troubled;
    summary->outages += service_outage(service)->is_running && outage_is_felt(service_outage(service));
    if (summary->services == 1 || (is_troubled && !had_trouble)) {
        summary->group = group;
        summary->service = service;
    } else if (is_troubled || !had_trouble) {
        summary->service = NULL;
    }
    note_tone(summary, service_tone(service, now_ms));
    add_alarms(summary, service_alarms(service), &name);
}

void summary_add_group(struct summary *summary, const struct voter_group *group)
{
    const struct summary_name name = {sentences_voters(group), voter_group_name(group)};

    add_alarms(summary, voter_group_alarms(group), &name);
}

void summary_add_agent(struct summary *summary, const struct status *status)
{
    for (size_t i = 0; i < status->api_count; i++) {
        const struct summary_name name = {"HAProxy", status->apis[i].name};
        add_alarms(summary, &status->apis[i].alarms, &name);
    }
    add_alarms(summary, &status->unknown->alarms, &(struct summary_name){"HAProxy", ""});
    note_tone(summary, status->is_stopping || !status->is_reload_good ? TONE_WAIT : TONE_GOOD);
}

/* ---- words ---- */

const char *summary_service(const struct summary *summary)
{
    return summary->service != NULL ? service_settings(summary->service)->name : "";
}

void summary_add_name(struct text *out, const struct summary_name *name)
{
    text_add(out, name->kind);
    text_add(out, name->kind[0] != '\0' && name->name[0] != '\0' ? " " : "");
    text_add(out, name->name);
}

void summary_add_names(struct text *out, const struct summary_alarm *alarm)
{
    for (size_t i = 0; i < alarm->count && i < SUMMARY_NAMES; i++) {
        text_add(out, i > 0 ? ", " : "");
        summary_add_name(out, &alarm->names[i]);
    }
    if (alarm->count > SUMMARY_NAMES)
        text_printf(out, " and %zu more", alarm->count - SUMMARY_NAMES);
}

/* What is wrong although each service has a master. */
static void add_others(struct text *out, const struct summary *summary, const struct status *status)
{
    size_t alarms = 0;

    for (enum alarm_kind kind = ALARM_VOTER_COUNT; kind < ALARM_KINDS; kind++)
        alarms += summary->alarms[kind].count > 0 && kind != ALARM_UNKNOWN_SERVICE;
    if (summary->alarms[ALARM_UNKNOWN_SERVICE].count > 0)
        text_add(out, "; HAProxy asks for a service that is not configured");
    if (alarms > 0) {
        text_add(out, "; ");
        sentences_add_count(out, alarms, "alarm", "");
    }
    text_add(out, status->is_reload_good ? "" : "; the last reload failed");
    text_add(out, status->is_stopping ? "; the agent is stopping" : "");
}

void summary_add_headline(struct text *out, const struct summary *summary, const struct status *status)
{
    if (summary->service != NULL)
        sentences_add_headline(out, summary->group, summary->service, status->now_ms);
    else if (summary->troubled == 0)
        text_printf(out, "All %zu services have a master", summary->services);
    else
        text_printf(out, "%zu of %zu services are in trouble", summary->troubled, summary->services);
    if (summary->troubled == 0)
        add_others(out, summary, status);
}
