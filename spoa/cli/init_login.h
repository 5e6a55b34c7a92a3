/* How `init` logs in with the Sentinels, and with the nodes. Private to it. */
#ifndef SPOA_CLI_INIT_LOGIN_H
#define SPOA_CLI_INIT_LOGIN_H

#include <stdbool.h>

#include "proto/span.h"

struct addr;
struct config_credentials;
struct config_tls;
struct redis_client;

extern const struct config_tls init_no_tls;

/* With one kind of peer. */
struct init_login {
    struct config_credentials *credentials;
    bool is_settled; /* somebody has taken it */
};

/*
 * Logs in again where that failed with a user, who may be known to one kind of peer only: the other kind may take the
 * password alone. The user is left out from then on. `had_user`: the client was opened with one.
 */
void init_login_settle(struct init_login *login, const struct addr *addr, bool had_user,
                       struct redis_client *client);

/* Why there is no connection. Valid as long as the client. */
struct span init_why(const struct addr *addr, const struct redis_client *client);

/* What a peer said, without a full stop of its own. */
struct span init_without_stop(struct span words);

#endif
