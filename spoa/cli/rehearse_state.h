/* What the parts of `rehearse` share. Private to it. */
#ifndef SPOA_CLI_REHEARSE_STATE_H
#define SPOA_CLI_REHEARSE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/addr.h"
#include "proto/must_check.h"
#include "spoa/cli/redis_client.h"
#include "spoa/core/redis/redis_id.h"
#include "spoa/core/status/rehearsal.h"

struct config_credentials;
struct config_service;
struct config_tls;
struct config_voters;

/* The key that is written: PREFIX and the number of our process. */
#define REHEARSE_KEY_PREFIX "sentinel-spoa:rehearsal:"
#define REHEARSE_KEY_MAX 48

/* The key goes by itself so many seconds after the last write, whatever happens to us. */
#define REHEARSE_KEY_LIFE_S "600"

/* For texts in which a node or a Sentinel says why it does not do something. */
#define REHEARSE_ERROR_MAX 256

struct rehearse {
    const struct config_service *service;
    const struct config_voters *group;
    const struct config_credentials *credentials; /* of the nodes */
    const struct config_tls *tls;
    struct addr through;
    char key[REHEARSE_KEY_MAX];
    struct redis_target *sentinels;    /* as many as the group has addresses */
    char (*run_ids)[REDIS_ID_LEN + 1]; /* by server; "" where it does not tell */
    const char **names;                /* by server */
    int old;                           /* the master, by server */
    size_t heirs;                      /* replicas that can be promoted */
};

/* What the writing process tells of each attempt. Short enough for a pipe to keep it in one piece. */
struct rehearse_record {
    struct rehearsal_write write;
    char error[REHEARSE_ERROR_MAX]; /* of one that failed */
};

/* The server with this address, or REHEARSAL_NOBODY. */
int rehearse_find_server(const struct rehearse *rehearse, const struct addr *addr);

/* Connects to a node, and to one through HAProxy: that may take as long as a client is parked. */
MUST_CHECK struct redis_client rehearse_open_node(const struct rehearse *rehearse, int server);
MUST_CHECK struct redis_client rehearse_open_through(const struct rehearse *rehearse);

/* Which server this is, by its run ID. REHEARSAL_NOBODY with `error`, "" if it is a stranger. */
int rehearse_identify(const struct rehearse *rehearse, struct redis_client *client,
                      char error[REHEARSE_ERROR_MAX]);

/* Copies the words of an error, or why there is no reply. */
void rehearse_copy_error(const struct redis_client *client, const struct reply *reply,
                         char error[REHEARSE_ERROR_MAX]);

/* rehearse_survey.c: asks whether a failover is possible. False with a message on stderr if it is not. */
MUST_CHECK bool rehearse_survey(struct rehearse *rehearse);

/* rehearse_writer.c: writes one bit after another, each through a new connection, until nobody reads the pipe any more.
 * For a process of its own. */
void rehearse_write_all(const struct rehearse *rehearse, int pipe);

#endif
