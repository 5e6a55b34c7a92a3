#include "spoa/cli/init_survey.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/addr.h"
#include "proto/span.h"
#include "spoa/cli/init_login.h"
#include "spoa/cli/redis_client.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/draft.h"
#include "spoa/core/redis/redis_id.h"
#include "spoa/core/redis/refusal.h"
#include "spoa/core/redis/reply.h"
#include "spoa/core/redis/reply_addr.h"
#include "spoa/core/voters/node_reply.h"
#include "spoa/core/voters/sentinel_reply.h"
#include "spoa/io/net/socket_addr.h"

struct survey {
    const struct addr *asked;
    char name[ADDR_TEXT_MAX]; /* of the Sentinel that is asked */
    char id[DRAFT_ID_MAX + 1];
    struct redis_client client; /* to it */
    struct init_login sentinel_login;
    struct init_login node_login;
    struct draft *draft;
    unsigned answered; /* nodes that answered */
    unsigned refused;  /* of these, those that do not take our password, or want one */
};

/* One address to be asked. */
struct visit {
    struct draft_service *service; /* whose node it is; NULL: it is a Sentinel */
    size_t index;                  /* among the addresses of the service, or of the Sentinels */
    struct addr addr;
};

void init_note(const char *format, ...)
{
    va_list args;

    fputs("  ! ", stdout);
    va_start(args, format);
    (void)vfprintf(stdout, format, args);
    va_end(args);
    fputc('\n', stdout);
}

/* Says why there is no configuration. Returns false. */
static bool fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool fail(const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("init: ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

static bool fail_memory(void)
{
    return fail("out of memory");
}

bool init_is_own_host(const struct addr *addr)
{
    struct sockaddr_storage storage;
    socklen_t len = 0;
    struct addr any_port = *addr;

    any_port.port = 0;
    if ((addr->kind != ADDR_IPV4 && addr->kind != ADDR_IPV6) || !socket_addr_from(&any_port, &storage, &len))
        return false;
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return false;
    bool is_own = bind(fd, (struct sockaddr *)&storage, len) == 0;
    close(fd);
    return is_own;
}

/* ---- the Sentinel that is asked ---- */

/* Says why a command of Sentinel got no useful reply. Returns false. */
static bool fail_reply(const struct survey *survey, const char *command, const struct reply *reply)
{
    if (reply == NULL)
        return fail("%s does not answer as a Sentinel without TLS: %s", survey->name, survey->client.error);
    switch (refusal_of(reply)) {
    case REFUSAL_RIGHT:
        return fail("%s refuses SENTINEL %s: %.*s. The user needs +sentinel|myid +sentinel|masters "
                    "+sentinel|replicas "
                    "+sentinel|sentinels +sentinel|get-master-addr-by-name for this",
                    survey->name, command, SPAN_PRINTED(reply->text));
    case REFUSAL_COMMAND:
        if (memmem(reply->text.data, reply->text.len, "subcommand", strlen("subcommand")) == NULL)
            return fail(
                "%s is a Redis, not a Sentinel: give the address of a Sentinel, whose port is usually 26379",
                survey->name);
        return fail("%s is too old: SENTINEL %s needs Redis 6.2 or later", survey->name, command);
    default:
        return fail(
            "%s does not answer SENTINEL %s: %.*s", survey->name, command,
            SPAN_PRINTED(reply->kind == REPLY_ERROR ? reply->text : span_of_text("not as a Sentinel does")));
    }
}

/* Asks `SENTINEL COMMAND [MASTER]`. NULL, and said, if the reply is not of this kind. */
static const struct reply *ask(struct survey *survey, const char *command, const char *master,
                               enum reply_kind kind)
{
    const char *const words[] = {"SENTINEL", command, master, NULL};
    const struct reply *reply = redis_client_ask(&survey->client, words);

    if (reply != NULL && reply->kind == kind)
        return reply;
    (void)fail_reply(survey, command, reply);
    return NULL;
}

static bool open_asked(struct survey *survey)
{
    struct init_login *login = &survey->sentinel_login;

    survey->client = redis_client_open(survey->asked, login->credentials, &init_no_tls);
    init_login_settle(login, survey->asked, login->credentials->username != NULL, &survey->client);
    if (survey->client.parser == NULL)
        return fail("%s cannot be reached: %.*s", survey->name,
                    SPAN_PRINTED(init_why(survey->asked, &survey->client)));
    if (survey->client.wants_password && survey->sentinel_login.credentials->password == NULL)
        return fail("%s asks for a password: give --password-file FILE (%s)", survey->name,
                    survey->client.error);
    if (survey->client.wants_password)
        return fail("%s refuses the password: %s", survey->name, survey->client.error);
    const struct reply *reply = ask(survey, "MYID", NULL, REPLY_TEXT);
    if (reply == NULL)
        return false;
    if (!redis_is_id(reply->text))
        return fail("%s does not say who it is: SENTINEL MYID is '%.*s'", survey->name,
                    SPAN_PRINTED(reply->text));
    struct draft_address *own = draft_add_address(&survey->draft->sentinels, survey->asked);
    if (own == NULL)
        return fail_memory();
    draft_set_id(own, reply->text);
    own->is_announced = true;
    own->is_reached = true;
    memcpy(survey->id, own->id, sizeof(survey->id));
    return true;
}

/* Whether a Sentinel of another host announces a loopback address: here that is another node. */
static bool is_misleading(const struct survey *survey, const struct addr *addr)
{
    return addr_is_loopback(addr) && !addr_is_loopback(survey->asked) && survey->asked->kind != ADDR_NAME &&
           !init_is_own_host(survey->asked);
}

/* Adds what an element of MASTERS, REPLICAS or SENTINELS is about. False if memory is short. */
static bool add_announced(struct survey *survey, struct draft_addresses *addresses,
                          const struct reply *element)
{
    struct addr addr;

    if (!addr_from_parts(redis_client_field(element, "ip"), redis_client_field(element, "port"), &addr)) {
        struct span host = redis_client_field(element, "ip");
        init_note("%s announces the host '%.*s', which is no address: it is left out.", survey->name,
                  SPAN_PRINTED(host));
        return true;
    }
    struct draft_address *added = draft_add_address(addresses, &addr);
    if (added == NULL)
        return fail_memory();
    draft_set_id(added, redis_client_field(element, "runid"));
    added->is_announced = true;
    if (is_misleading(survey, &addr)) {
        char text[ADDR_TEXT_MAX];
        init_note(
            "%s announces %s, a loopback address: on this host that is another node. Give its Sentinels the "
            "address that other hosts know.",
            survey->name, addr_format(&addr, text));
    }
    return true;
}

static bool add_all(struct survey *survey, struct draft_addresses *addresses, const struct reply *reply)
{
    for (size_t i = 0; i < reply->count; i++)
        if (!add_announced(survey, addresses, &reply->elements[i]))
            return false;
    return true;
}

static bool ask_masters(struct survey *survey)
{
    const struct reply *reply = ask(survey, "MASTERS", NULL, REPLY_ARRAY);

    for (size_t i = 0; reply != NULL && i < reply->count; i++) {
        struct draft_service *service =
            draft_add_service(survey->draft, redis_client_field(&reply->elements[i], "name"));
        if (service == NULL)
            return fail_memory();
        if (!draft_takes_name(service->master)) {
            init_note("The master '%s' has a name that a configuration file cannot have: it is left out.",
                      service->master);
            service->is_left_out = true;
        } else if (!add_announced(survey, &service->nodes, &reply->elements[i])) {
            return false;
        } else {
            service->is_left_out = service->nodes.count == 0;
        }
    }
    return reply != NULL;
}

/* Whether the reply to SENTINEL SENTINELS has the fellows of the first master, and no others. */
static bool has_same_fellows(const struct draft *draft, const struct reply *reply)
{
    struct addr addr;

    for (size_t i = 0; i < reply->count; i++)
        if (!addr_from_parts(redis_client_field(&reply->elements[i], "ip"),
                             redis_client_field(&reply->elements[i], "port"), &addr) ||
            draft_find_address(&draft->sentinels, &addr) == NULL)
            return false;
    return reply->count + 1 == draft->sentinels.count;
}

static bool ask_service(struct survey *survey, struct draft_service *service, bool is_first)
{
    const struct reply *reply = ask(survey, "SENTINELS", service->master, REPLY_ARRAY);

    if (reply == NULL)
        return false;
    if (is_first) {
        if (!add_all(survey, &survey->draft->sentinels, reply))
            return false;
    } else if (!has_same_fellows(survey->draft, reply)) {
        init_note(
            "The master '%s' has other Sentinels than the first one: it is left out. Make a file of its own "
            "for it.",
            service->master);
        service->is_left_out = true;
        return true;
    }
    reply = ask(survey, "REPLICAS", service->master, REPLY_ARRAY);
    return reply != NULL && add_all(survey, &service->nodes, reply);
}

static void print_service(struct survey *survey, const struct draft_service *service)
{
    const char *const words[] = {"SENTINEL", "MASTER", service->master, NULL};
    const struct reply *reply = redis_client_ask(&survey->client, words);
    struct sentinel_facts facts = {.down_after_ms = 0};
    struct addr addr;
    char text[ADDR_TEXT_MAX];

    printf("  %s: master %s, %zu replica%s", service->master, addr_format(&service->nodes.list[0].addr, text),
           service->nodes.count - 1, service->nodes.count == 2 ? "" : "s");
    if (reply != NULL && sentinel_reply_read_facts(reply, &addr, &facts) == REPLY_READ_OK)
        printf(", down-after-milliseconds %" PRIu32, facts.down_after_ms);
    fputc('\n', stdout);
}

static bool ask_services(struct survey *survey)
{
    bool is_first = true;

    for (size_t i = 0; i < survey->draft->service_count; i++) {
        struct draft_service *service = &survey->draft->services[i];
        if (service->is_left_out)
            continue;
        if (!ask_service(survey, service, is_first))
            return false;
        if (!service->is_left_out)
            print_service(survey, service);
        is_first = false;
    }
    return !is_first || fail("%s monitors no master: nothing is to be written", survey->name);
}

/* ---- the other Sentinels ---- */

/* By which address a fellow knows the Sentinel that we asked. False if memory is short. */
static bool find_own_address(struct survey *survey, struct redis_client *client, const char *master)
{
    const char *const words[] = {"SENTINEL", "SENTINELS", master, NULL};
    const struct reply *reply = redis_client_ask(client, words);

    for (size_t i = 0; reply != NULL && reply->kind == REPLY_ARRAY && i < reply->count; i++)
        if (span_equals_text(redis_client_field(&reply->elements[i], "runid"), survey->id))
            return add_announced(survey, &survey->draft->sentinels, &reply->elements[i]);
    return true;
}

/* By which address a fellow knows the master. False if memory is short. */
static bool ask_fellow_master(struct redis_client *client, const char *name, struct draft_service *service)
{
    const char *const words[] = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", service->master, NULL};
    const struct reply *reply = redis_client_ask(client, words);
    struct addr addr;

    if (reply == NULL)
        return true;
    enum reply_reading reading = sentinel_reply_read_master(reply, &addr);
    if (reading == REPLY_READ_NONE)
        init_note("%s does not know the master '%s'.", name, service->master);
    return reading != REPLY_READ_OK || draft_add_address(&service->nodes, &addr) != NULL || fail_memory();
}

/* Whether this is the Sentinel that the asked one knows there. */
static bool is_expected(const struct draft_address *fellow, const char *name, const struct reply *reply)
{
    if (reply == NULL || reply->kind != REPLY_TEXT || !redis_is_id(reply->text))
        init_note("%s does not say who it is: %.*s.", name,
                  SPAN_PRINTED(init_without_stop(reply != NULL ? reply->text : span_of_text("no reply"))));
    else if (fellow->id[0] != '\0' && !span_equals_text(reply->text, fellow->id))
        init_note("At %s there is another Sentinel than the one that is announced there: it is %.*s.", name,
                  SPAN_PRINTED(reply->text));
    else
        return true;
    return false;
}

static bool ask_fellow(struct survey *survey, size_t index, struct redis_client *client)
{
    static const char *const words[] = {"SENTINEL", "MYID", NULL};
    struct draft *draft = survey->draft;
    struct draft_address *fellow = &draft->sentinels.list[index];
    const char *first = NULL;
    char name[ADDR_TEXT_MAX];

    (void)addr_format(&fellow->addr, name);
    const struct reply *reply = redis_client_ask(client, words);
    if (!is_expected(fellow, name, reply))
        return true;
    draft_set_id(fellow, reply->text);
    fellow->is_reached = true;
    for (size_t i = 0; i < draft->service_count; i++) {
        struct draft_service *service = &draft->services[i];
        if (service->is_left_out)
            continue;
        first = first != NULL ? first : service->master;
        if (!ask_fellow_master(client, name, service))
            return false;
    }
    return first == NULL || find_own_address(survey, client, first);
}

static bool visit_fellow(struct survey *survey, const struct visit *visit, struct redis_client *client)
{
    char name[ADDR_TEXT_MAX];

    (void)addr_format(&visit->addr, name);
    if (client->parser == NULL)
        init_note("The Sentinel %s cannot be reached from here: %.*s.", name,
                  SPAN_PRINTED(init_why(&visit->addr, client)));
    else if (client->wants_password)
        init_note("The Sentinel %s refuses us: %.*s.", name,
                  SPAN_PRINTED(init_without_stop(span_of_text(client->error))));
    else
        return ask_fellow(survey, visit->index, client);
    return true;
}

/* The address that its fellows know is the better one, if it can be reached: it is the same whoever is asked. */
static void choose_own_address(struct survey *survey)
{
    struct draft_addresses *sentinels = &survey->draft->sentinels;
    struct draft_address *given = draft_find_address(sentinels, survey->asked);
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < sentinels->count; i++) {
        struct draft_address *other = &sentinels->list[i];
        if (other == given || strcmp(other->id, survey->id) != 0)
            continue;
        (void)addr_format(&other->addr, text);
        if (other->is_reached)
            given->is_reached = false;
        else
            init_note("The other Sentinels know %s as %s: is there address translation in between?",
                      survey->name, text);
    }
}

/* ---- the nodes ---- */

/* Adds the address by which a replica knows its master. False if memory is short. */
static bool ask_role(struct redis_client *client, struct draft_service *service)
{
    static const char *const words[] = {"ROLE", NULL};
    const struct reply *reply = redis_client_ask(client, words);
    struct addr addr;

    if (reply == NULL || node_reply_role(reply) != NODE_ROLE_REPLICA || reply->count < 3 ||
        reply_read_addr(&reply->elements[1], &reply->elements[2], &addr) != REPLY_READ_OK)
        return true;
    return draft_add_address(&service->nodes, &addr) != NULL || fail_memory();
}

/* Says why the node does not tell its identity. */
static void note_no_id(const char *name, const struct redis_client *client, const struct reply *reply)
{
    if (reply == NULL) {
        init_note("The node %s does not answer: %s.", name, client->error);
        return;
    }
    init_note("The node %s does not say who it is: %.*s.", name,
              SPAN_PRINTED(init_without_stop(
                  reply->kind == REPLY_ERROR ? reply->text : span_of_text("INFO has no run_id"))));
}

static bool ask_node(struct survey *survey, struct draft_service *service, size_t index,
                     struct redis_client *client)
{
    static const char *const words[] = {"INFO", "server", NULL};
    struct draft_address *node = &service->nodes.list[index];
    struct span id = span_of("", 0);

    survey->answered++;
    const struct reply *reply = redis_client_ask(client, words);
    if (reply == NULL || node_reply_read_run_id(reply, &id) != REPLY_READ_OK) {
        char name[ADDR_TEXT_MAX];
        note_no_id(addr_format(&node->addr, name), client, reply);
    } else {
        draft_set_id(node, id);
        node->is_reached = true;
    }
    return ask_role(client, service);
}

static bool visit_node(struct survey *survey, const struct visit *visit, struct redis_client *client)
{
    char name[ADDR_TEXT_MAX];

    (void)addr_format(&visit->addr, name);
    if (client->parser == NULL) {
        init_note("The node %s of '%s' cannot be reached from here: %.*s.", name, visit->service->master,
                  SPAN_PRINTED(init_why(&visit->addr, client)));
    } else if (client->wants_password) {
        init_note("The node %s refuses us: %.*s.", name,
                  SPAN_PRINTED(init_without_stop(span_of_text(client->error))));
        survey->answered++;
        survey->refused++;
    } else {
        return ask_node(survey, visit->service, visit->index, client);
    }
    return true;
}

/* ---- all of them ---- */

/* Adds a visit to each address that nobody has tried yet. Returns how many; without `visits` it only counts. */
static size_t add_visits(struct draft_addresses *addresses, struct draft_service *service,
                         struct visit *visits)
{
    size_t count = 0;

    for (size_t i = 0; i < addresses->count; i++) {
        struct draft_address *address = &addresses->list[i];
        if (address->is_reached || address->is_tried)
            continue;
        if (visits != NULL) {
            visits[count] = (struct visit){.service = service, .index = i, .addr = address->addr};
            address->is_tried = true;
        }
        count++;
    }
    return count;
}

static size_t list_visits(struct draft *draft, bool is_to_nodes, struct visit *visits)
{
    size_t count = 0;

    if (!is_to_nodes)
        return add_visits(&draft->sentinels, NULL, visits);
    for (size_t i = 0; i < draft->service_count; i++)
        if (!draft->services[i].is_left_out)
            count += add_visits(&draft->services[i].nodes, &draft->services[i],
                                visits != NULL ? visits + count : NULL);
    return count;
}

/* Connects to all of them side by side, and asks each. */
static bool make_visits(struct survey *survey, bool is_to_nodes, struct visit *visits,
                        struct redis_target *targets)
{
    struct init_login *login = is_to_nodes ? &survey->node_login : &survey->sentinel_login;
    size_t count = list_visits(survey->draft, is_to_nodes, visits);
    bool had_user = login->credentials->username != NULL;
    bool is_fine = true;

    for (size_t i = 0; i < count; i++)
        targets[i] = (struct redis_target){
            .addr = &visits[i].addr, .credentials = login->credentials, .tls = &init_no_tls};
    redis_client_open_all(targets, count);
    for (size_t i = 0; i < count && is_fine; i++) {
        struct redis_client *client = &targets[i].client;
        init_login_settle(login, &visits[i].addr, had_user, client);
        is_fine =
            is_to_nodes ? visit_node(survey, &visits[i], client) : visit_fellow(survey, &visits[i], client);
    }
    for (size_t i = 0; i < count; i++)
        redis_client_close(&targets[i].client);
    return is_fine;
}

/* Visits the Sentinels (or nodes) that are known, then the ones that they tell of, until no new one is left. */
static bool visit_all(struct survey *survey, bool is_to_nodes)
{
    bool is_fine = true;

    for (size_t count; is_fine && (count = list_visits(survey->draft, is_to_nodes, NULL)) > 0;) {
        struct visit *visits = calloc(count, sizeof(*visits));
        struct redis_target *targets = calloc(count, sizeof(*targets));
        is_fine = visits != NULL && targets != NULL ? make_visits(survey, is_to_nodes, visits, targets)
                                                    : fail_memory();
        free(visits);
        free(targets);
    }
    return is_fine;
}

static bool visit_fellows(struct survey *survey)
{
    if (!visit_all(survey, false))
        return false;
    choose_own_address(survey);
    return true;
}

static bool visit_nodes(struct survey *survey)
{
    if (!visit_all(survey, true))
        return false;
    if (survey->answered == 0 || survey->refused < survey->answered)
        return true;
    return fail(survey->node_login.credentials->password == NULL
                    ? "Redis asks for a password: give --redis-password-file FILE"
                    : "Redis does not take the password of --redis-password-file");
}

bool init_survey(const struct addr *sentinel, struct config_credentials *sentinel_login,
                 struct config_credentials *node_login, struct draft *draft)
{
    struct survey survey = {
        .asked = sentinel,
        .client = {.fd = -1},
        .sentinel_login = {.credentials = sentinel_login},
        .node_login = {.credentials = node_login},
        .draft = draft,
    };

    (void)addr_format(sentinel, survey.name);
    printf("Asking the Sentinel %s\n", survey.name);
    bool is_fine = open_asked(&survey) && ask_masters(&survey) && ask_services(&survey) &&
                   visit_fellows(&survey) && visit_nodes(&survey);
    redis_client_close(&survey.client);
    if (is_fine)
        draft_sort(draft);
    return is_fine;
}
