#include "spoa/cli/init_login.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/addr.h"
#include "spoa/cli/init_survey.h"
#include "spoa/cli/redis_client.h"
#include "spoa/core/config/config.h"

const struct config_tls init_no_tls = {.is_on = false};

/* Says that the user is left out. */
static void drop_user(struct init_login *login, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];

    init_note("%s takes the password without the user '%s': no user is written there.",
              addr_format(addr, text), login->credentials->username);
    free(login->credentials->username);
    login->credentials->username = NULL;
}

void init_login_settle(struct init_login *login, const struct addr *addr, bool had_user,
                       struct redis_client *client)
{
    struct config_credentials alone = *login->credentials;
    bool is_dropped = login->credentials->username == NULL;

    alone.username = NULL;
    if (client->wants_password && had_user && (is_dropped || !login->is_settled)) {
        struct redis_client other = redis_client_open(addr, &alone, &init_no_tls);
        bool is_taken = other.parser != NULL && !other.wants_password;
        if (is_taken && !is_dropped)
            drop_user(login, addr);
        redis_client_close(is_taken ? client : &other);
        if (is_taken)
            *client = other;
    }
    login->is_settled = login->is_settled || (client->parser != NULL && !client->wants_password);
}

struct span init_without_stop(struct span words)
{
    words.len -= words.len > 0 && words.data[words.len - 1] == '.';
    return words;
}

struct span init_why(const struct addr *addr, const struct redis_client *client)
{
    bool has_no_address = addr->kind == ADDR_NAME && strcmp(client->error, strerror(EHOSTUNREACH)) == 0;

    return init_without_stop(span_of_text(has_no_address ? "its name has no address here" : client->error));
}
