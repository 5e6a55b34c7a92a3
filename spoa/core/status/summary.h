/*
 * All that is shown, as one sentence, one tone and one list of alarms. It is counted service by service, group by group,
 * while a page is written or before; what it keeps does not grow with them. Pure: times are arguments.
 */
#ifndef SPOA_CORE_STATUS_SUMMARY_H
#define SPOA_CORE_STATUS_SUMMARY_H

#include <stddef.h>
#include <stdint.h>

#include "spoa/core/base/alarms.h"
#include "spoa/core/status/sentences.h"

struct service;
struct status;
struct text;
struct voter_group;

/* So many of those that have an alarm are named. */
#define SUMMARY_NAMES 3

/* Whom an alarm is about, for people: "mymaster", "Sentinels eu", "HAProxy 10.0.0.1:9999". Both are borrowed. */
struct summary_name {
    const char *kind; /* "Sentinels", "nodes", "HAProxy", or "": it is a service */
    const char *name; /* "" where the kind says it all */
};

struct summary_alarm {
    size_t count;                             /* of those that have it */
    struct summary_name names[SUMMARY_NAMES]; /* the first of them */
    const struct alarms *sets[SUMMARY_NAMES]; /* their alarms, with the details; borrowed */
};

/* All zero: nothing is counted. What it points to must stay until the end. */
struct summary {
    size_t services;
    size_t troubled;                 /* services in trouble */
    size_t outages;                  /* that go on and are felt */
    enum tone tone;                  /* the worst of all that is counted */
    const struct voter_group *group; /* of `service` */
    const struct service *service;   /* the only one there is, or the only one in trouble; else NULL */
    struct summary_alarm alarms[ALARM_KINDS];
};

void summary_add_service(struct summary *summary, const struct voter_group *group,
                         const struct service *service, int64_t now_ms);

/* The alarms of a group. */
void summary_add_group(struct summary *summary, const struct voter_group *group);

/* What is known of the HAProxys, and of the agent itself. */
void summary_add_agent(struct summary *summary, const struct status *status);

/* The name of the service that the headline is about; "" where it is about several. */
const char *summary_service(const struct summary *summary);

/*
 * The sentence over everything: that of a service without its name (summary_service()), "All 12 services have a master",
 * or "2 of 12 services are in trouble". What else is wrong is told where no service is in trouble.
 */
void summary_add_headline(struct text *out, const struct summary *summary, const struct status *status);

/* "Sentinels eu". */
void summary_add_name(struct text *out, const struct summary_name *name);

/* "a, b, c and 997 more". */
void summary_add_names(struct text *out, const struct summary_alarm *alarm);

/* How bad an alarm of this kind is. */
enum tone summary_alarm_tone(enum alarm_kind kind);

#endif
