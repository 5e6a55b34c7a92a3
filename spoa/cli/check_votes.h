/* For check.c: asks one voter directly. The rule does not take part. */
#ifndef SPOA_CLI_CHECK_VOTES_H
#define SPOA_CLI_CHECK_VOTES_H

#include <stdbool.h>

#include "proto/must_check.h"
#include "spoa/core/voters/voter_source.h"

struct addr;
struct config_service;
struct redis_client;
struct reply;

#define CHECK_ID_LEN 40

/* Asks for the voter's identity: SENTINEL MYID, CLUSTER MYID, or the run_id of INFO. "" if it does not
 * tell. Returns the reply as redis_client_ask() does. */
MUST_CHECK const struct reply *check_ask_identity(struct redis_client *client, enum voter_source source,
                                                  char ret_id[CHECK_ID_LEN + 1]);

/* Why the identity is missing, if `reply` is no error. */
const char *check_why_no_identity(enum voter_source source);

/* Asks the voter at `self` for the master of `service`. Returns false if it names nobody; `*ret_reply`
 * says why. `*ret_reply` is the result of redis_client_ask(). */
MUST_CHECK bool check_ask_vote(struct redis_client *client, enum voter_source source,
                               const struct config_service *service, const struct addr *self,
                               struct addr *ret_addr, const struct reply **ret_reply);

/* Why `reply` names nobody, if it is no error. */
const char *check_why_no_vote(enum voter_source source, const struct reply *reply);

#endif
