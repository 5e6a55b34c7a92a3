/* A Sentinel: what it answers, when its view of a service changes, what it publishes, how it starts. */
#ifndef TESTS_SIM_SENTINEL_MODEL_H
#define TESTS_SIM_SENTINEL_MODEL_H

#include "tests/sim/world.h"

enum command_kind {
    COMMAND_AUTH,
    COMMAND_SETNAME,
    COMMAND_MYID,
    COMMAND_GET_MASTER,
    COMMAND_FACTS,
    COMMAND_WITNESS,
    COMMAND_REPLICAS,
    COMMAND_PEERS,
    COMMAND_SUBSCRIBE,
    COMMAND_RUN_ID, /* from here on of nodes: INFO server */
    COMMAND_ROLE,
    COMMAND_LINK, /* INFO replication */
    COMMAND_CLUSTER_INFO,
    COMMAND_SLOTS,
};

enum reply_item_kind {
    REPLY_ITEM_OK,
    REPLY_ITEM_AUTH_UNNEEDED,
    REPLY_ITEM_MYID,       /* value: the identity */
    REPLY_ITEM_REFUSED,    /* NOPERM, or NOAUTH where `value` is VIEW_DENIED */
    REPLY_ITEM_VIEW,       /* value: enum sim_view */
    REPLY_ITEM_FACTS,      /* value: the address that SENTINEL MASTER shows; age_ms */
    REPLY_ITEM_FACTS_DOWN, /* the same, with o_down */
    REPLY_ITEM_WITNESS,    /* value: 1 where CKQUORUM says OK */
    REPLY_ITEM_REPLICAS,   /* value: the address of the one that it lists */
    REPLY_ITEM_PEERS,      /* age_ms, of all the other Sentinels */
    REPLY_ITEM_SUBSCRIBED,
    REPLY_ITEM_RUN_ID,       /* value: the identity */
    REPLY_ITEM_ROLE,         /* value: enum sim_view, as whose replica it speaks */
    REPLY_ITEM_MASTER,       /* the same: it speaks as a master; value: its own address */
    REPLY_ITEM_LINK,         /* value: whom it follows; age_ms: whole seconds since it was heard */
    REPLY_ITEM_LINK_DOWN,    /* the same; age_ms: since the link went down */
    REPLY_ITEM_LINK_MASTER,  /* it is a master; value: its own address */
    REPLY_ITEM_CLUSTER_INFO, /* value: 1 where the cluster is up */
    REPLY_ITEM_SLOTS,        /* views: of all services; value: 1 where the cluster is up */
    REPLY_ITEM_HINT_SWITCH,  /* +switch-master; from here on: pushed, value: the new master's address */
    REPLY_ITEM_HINT_PROMOTED,
    REPLY_ITEM_HINT_RECONF,
    REPLY_ITEM_HINT_UPDATE_FROM,
    REPLY_ITEM_HINT_ODOWN,
    REPLY_ITEM_HINT_TRY, /* +try-failover; value: the master that is to be replaced */
};

/* All Sentinels are up and name address 0. */
void sentinel_start_all(struct world *world);

/* Commands have reached the Sentinel: they read its view now, and are answered. */
void sentinel_receive(struct world *world, struct sim_link *link, const struct event *event);

/* Changes its view at once. `published`: its subscribers get an event, before the change as Sentinels do. */
void sentinel_set_view(struct world *world, unsigned sentinel, unsigned service, int8_t view, bool published);

/* An event to its subscribers about `service`, whether true or not. */
void sentinel_publish(struct world *world, unsigned sentinel, unsigned service, enum reply_item_kind hint,
                      int8_t address);

/* `leader` switches to `address` now, with a new config-epoch or, where two are forced at once, the current
 * one; the others hear of it soon, or late, or never. */
void sentinel_failover(struct world *world, unsigned leader, unsigned service, int8_t address,
                       bool new_epoch);

/* EVENT_ADOPT and EVENT_PUBLISH are due. */
void sentinel_adopt(struct world *world, struct event *event);
void sentinel_publish_late(struct world *world, const struct event *event);

/* The process ends; `silently`: its host too, nobody is told. */
void sentinel_stop(struct world *world, unsigned sentinel, bool silently);

/* It comes back with the view that it had; pristine: with the first one, and another MYID. */
void sentinel_start(struct world *world, unsigned sentinel, bool pristine);

#endif
