/* Reads from the payload of a NOTIFY what it asks for. */
#ifndef SPOA_CORE_HAPROXY_QUESTION_H
#define SPOA_CORE_HAPROXY_QUESTION_H

#include "proto/must_check.h"
#include "proto/span.h"
#include "spoa/core/haproxy/client.h"

#include <stdbool.h>
#include <stddef.h>

/* The arguments of HAProxy's message. A span with `data` NULL was not sent. */
struct service_question {
    struct span service;
    struct span role; /* "master" or "replica"; if not sent, the master is meant */
    struct client client;
};

/*
 * Reads the payload of a NOTIFY (SPOE.txt 3.2.6). `ret_question` is valid as long as the payload. False if
 * the payload is malformed.
 *
 * The question is the first message that has a service; other messages belong to other users of the event. If
 * no message has a service, the question is about the only service there is. Then a role other than "master"
 * in any message is taken for ours: if a question may not be about the master, it is better answered without
 * a name than with the master's.
 */
MUST_CHECK bool question_read(struct span payload, struct service_question *ret_question);

/* The client of the question in a payload. */
struct client question_client(struct span payload);

/*
 * The length of the part of a payload that is the same for every client of a frontend. It ends at the
 * argument `src` of the first message, if only text arguments come before it. Otherwise it is the whole
 * payload.
 */
size_t question_common_len(struct span payload);

#endif
