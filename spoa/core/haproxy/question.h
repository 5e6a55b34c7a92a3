/* What a NOTIFY asks for, as its payload says it. */
#ifndef SPOA_CORE_HAPROXY_QUESTION_H
#define SPOA_CORE_HAPROXY_QUESTION_H

#include "proto/must_check.h"
#include "proto/span.h"
#include "spoa/core/haproxy/client.h"

#include <stdbool.h>
#include <stddef.h>

/* The arguments of HAProxy's message. Spans with `data` NULL were not sent. */
struct service_question {
    struct span service;
    struct span role; /* "master" or "replica"; not sent: the master */
    struct client client;
};

/*
 * Reads the payload of a NOTIFY (SPOE.txt 3.2.6); the question is valid as long as that. False where it is malformed.
 *
 * The question is the first message that has a service; others belong to other users of the event. Where none has,
 * it is about the only service there is, and a role other than "master" in any of them is taken for ours: rather no
 * name than the master's for a question that was not about it.
 */
MUST_CHECK bool question_read(struct span payload, struct service_question *ret_question);

/*
 * Up to where the payload is the same for every client of a frontend: to the argument `src` of its first message, where only
 * arguments with texts come before it. All of it where that is not found, or what it says is not so simple.
 */
size_t question_common_len(struct span payload);

#endif
