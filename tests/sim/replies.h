/* Replies as a Sentinel writes them, and commands as it reads them. */
#ifndef TESTS_SIM_REPLIES_H
#define TESTS_SIM_REPLIES_H

#include "proto/addr.h"
#include "spoa/core/redis/conversation.h"
#include "spoa/core/redis/reply.h"
#include "tests/sim/world.h"

#define REPLY_ELEMENTS_MAX 14
#define REPLY_TEXT_MAX 128

/* A reply with room for what it points to. */
struct built_reply {
    struct reply reply;
    struct reply elements[REPLY_ELEMENTS_MAX];
    struct reply inner[SIM_SERVICES_MAX][3];      /* of arrays in it */
    struct reply parts[SIM_SENTINELS_MAX - 1][4]; /* the same, of SENTINEL SENTINELS */
    char texts[REPLY_ELEMENTS_MAX][REPLY_TEXT_MAX];
    char info[512]; /* of INFO replication */
};

/* Port and last byte of an address of a service: 10.1.SERVICE.(ADDRESS+1):(7001+ADDRESS), or 10.2 as alias. */
#define SIM_PORT 7001

/* Writes the reply that `item` stands for. */
void reply_build(struct built_reply *built, const struct event_item *item, enum sim_form form);

/* The replies to a SUBSCRIBE: one for each channel. */
void reply_build_subscribed(struct built_reply *built);

/* An address of a service, as a Sentinel of this form tells it. */
struct addr reply_address(unsigned service, int8_t address, enum sim_form form);

/* The number of an address. */
int8_t reply_number(const struct addr *addr);

/* Reads a command of the agent. False where no Sentinel would understand it. */
bool command_read(const struct conversation_command *command, struct event_item *ret_item);

#endif
