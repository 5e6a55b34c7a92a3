/* Who votes on the master of a service, and how it is asked. */
#ifndef SPOA_CORE_VOTERS_VOTER_SOURCE_H
#define SPOA_CORE_VOTERS_VOTER_SOURCE_H

enum voter_source {
    VOTER_SOURCE_SENTINEL,    /* Sentinels, by SENTINEL GET-MASTER-ADDR-BY-NAME */
    VOTER_SOURCE_REPLICATION, /* the nodes themselves, by ROLE */
    VOTER_SOURCE_CLUSTER,     /* the nodes of a Redis Cluster, by CLUSTER SLOTS */
};

#endif
