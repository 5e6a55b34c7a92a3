/* What a NOTIFY asks for, as its payload says it. */
#ifndef SPOA_CORE_QUESTION_H
#define SPOA_CORE_QUESTION_H

#include "proto/span.h"

#include <stdbool.h>

/* The arguments of HAProxy's message. Spans with `data` NULL were not sent. */
struct service_question {
    struct span service;
    struct span role; /* "master" or "replica"; not sent: the master */
};

/*
 * Reads the payload of a NOTIFY (SPOE.txt 3.2.6); the question is valid as long as that. False where it is malformed.
 *
 * The question is the first message that has a service; others belong to other users of the event. Where none has,
 * it is about the only service there is, and a role other than "master" in any of them is taken for ours: rather no
 * name than the master's for a question that was not about it.
 */
bool question_read(struct span payload, struct service_question *ret_question);

#endif
