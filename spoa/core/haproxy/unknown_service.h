/*
 * HAProxy asks for a service or a role that is not configured: a word in spoe.conf is wrong, and its clients are
 * refused. The alarm `unknown-service` tells for what it asks. One question is kept, so many different ones need no
 * room. It stays while it is asked, and makes place for another one then. Pure: time is an argument.
 */
#ifndef SPOA_CORE_HAPROXY_UNKNOWN_SERVICE_H
#define SPOA_CORE_HAPROXY_UNKNOWN_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/span.h"
#include "spoa/core/base/alarms.h"
#include "spoa/core/haproxy/question.h"

/* So long after the last such question the alarm is cleared. */
#define UNKNOWN_SERVICE_HOLD_MS 60000

/* As long as the name of a service can be (CONFIG_NAME_MAX). The rest is cut off. */
#define UNKNOWN_SERVICE_NAME_MAX 200
#define UNKNOWN_SERVICE_ROLE_MAX 31

/* All zero: nobody has asked. */
struct unknown_service {
    struct alarms alarms;
    /* The question that is kept. Bytes that are not printable ASCII are '?'. */
    char name[UNKNOWN_SERVICE_NAME_MAX + 1]; /* if it was left out: of the only service there is, or "" */
    char role[UNKNOWN_SERVICE_ROLE_MAX + 1]; /* "" where none was asked for */
    bool is_left_out;                        /* no service was asked for */
    bool has_service;                        /* there is such a service: the role is wrong */
    int64_t t_kept_ms;                       /* when this question came last */
    int64_t t_asked_ms;                      /* when the last one came, whatever it was */
    uint64_t asked; /* how many came, whatever they were: so many clients were refused */
    char detail[2 * UNKNOWN_SERVICE_NAME_MAX +
                100]; /* what is wrong, with the service that may be meant; "" else */
};

/* Names the configured service that is most like `name`, or NULL. */
typedef const char *unknown_service_nearest_fn(const void *context, const char *name);

/*
 * HAProxy asked `question`. `service` is the name of the service that it is about: it is there, and the role is not.
 * NULL if there is no such service. `nearest` is called where the question is to be kept. Allocates nothing.
 */
void unknown_service_note(struct unknown_service *unknown, const struct service_question *question,
                          const char *service, unknown_service_nearest_fn *nearest, const void *context,
                          int64_t now_ms);

/* Clears the alarm where nobody has asked for long enough. To be called every now and then. */
void unknown_service_tick(struct unknown_service *unknown, int64_t now_ms);

/* The question that is kept, as it may be asked again; false if there is none. */
bool unknown_service_question(const struct unknown_service *unknown, struct service_question *ret_question);

/* What is asked for is configured now: clears the alarm. */
void unknown_service_end(struct unknown_service *unknown, int64_t now_ms);

#endif
