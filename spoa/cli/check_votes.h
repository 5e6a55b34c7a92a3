/* For check.c: what one voter says, asked in passing and not by the rule. */
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

/* Who it is: SENTINEL MYID, CLUSTER MYID, the run_id of INFO; "" where it would not say. Returns the reply as
 * redis_client_ask() does. */
MUST_CHECK const struct reply *check_ask_identity(struct redis_client *client, enum voter_source source,
                                                  char ret_id[CHECK_ID_LEN + 1]);

/* Whom it, which is at `self`, names as the master of `service`. False where it names nobody: `*ret_reply`, as
 * redis_client_ask() returns it, says why. */
MUST_CHECK bool check_ask_vote(struct redis_client *client, enum voter_source source,
                               const struct config_service *service, const struct addr *self,
                               struct addr *ret_addr, const struct reply **ret_reply);

#endif
