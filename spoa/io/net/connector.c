#include "spoa/io/net/connector.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "spoa/core/base/container_of.h"
#include "spoa/io/net/address_race.h"
#include "spoa/io/net/loop.h"
#include "spoa/io/net/resolver.h"
#include "spoa/io/net/socket_addr.h"

/* Finds a peer that vanished: probes it after this time without traffic, s, then at this interval. */
#define KEEP_IDLE_S 5
#define KEEP_INTERVAL_S 2
/* A look-up that takes longer is slow (see lookup_threads.h). */
#define SLOW_MS ADDRESS_RACE_FAMILIES_MS

/* One of the look-ups of the name. */
struct asking {
    struct connector *connector;
    struct resolver_query *query; /* NULL when it has ended */
    int64_t begun_ms;
    const char *reason; /* if it found no address */
    bool is_denied;
};

/* A socket that connects. */
struct attempt {
    ev_io io; /* its fd is -1 if there is none */
    struct connector *connector;
    const struct sockaddr_storage *address;
};

/* Only while an attempt goes on. Thousands of links may connect at once: an address needs no race, which is
 * large. */
struct connecting {
    struct address_race *race;       /* NULL: the peer is an address */
    struct sockaddr_storage address; /* then that */
    struct asking asking[ADDRESS_SOURCES];
    int code;                  /* the errno that tells most */
    size_t count;              /* of `attempts` */
    struct attempt attempts[]; /* room for ADDRESS_RACE_TRIES_MAX, or one */
};

/* What is known about the name that was looked up last. */
struct name_memory {
    struct addr name; /* the peer may have changed since */
    struct address_memory addresses;
    struct sockaddr_storage used; /* the address of the last connection */
    bool is_slow[ADDRESS_SOURCES];
};

struct connector {
    struct ev_loop *loop;
    struct resolver *resolver;
    struct connector_options options;
    ev_timer timer;
    struct addr peer;
    struct name_memory *names; /* NULL before the first look-up */
    struct connecting *now;    /* NULL between attempts, or if memory is short */
    int64_t begun_ms;
};

static bool is_name(const struct connector *connector)
{
    return connector->peer.kind == ADDR_NAME;
}

/* ---- the end of an attempt ---- */

/* A look-up has an answer, or nobody waits for it any more. */
static void note_time(struct connector *connector, const struct asking *asking, bool is_answered)
{
    bool *is_slow = &connector->names->is_slow[asking - connector->now->asking];

    if (clock_ms() - asking->begun_ms >= SLOW_MS)
        *is_slow = true;
    else if (is_answered)
        *is_slow = false;
}

static void close_attempt(struct attempt *attempt)
{
    if (attempt->io.fd == -1)
        return;
    ev_io_stop(attempt->connector->loop, &attempt->io);
    close(attempt->io.fd);
    ev_io_set(&attempt->io, -1, EV_NONE);
}

void connector_cancel(struct connector *connector)
{
    struct connecting *now = connector->now;

    ev_timer_stop(connector->loop, &connector->timer);
    if (now == NULL)
        return;
    for (size_t i = 0; i < ADDRESS_SOURCES; i++) {
        if (now->asking[i].query == NULL)
            continue;
        note_time(connector, &now->asking[i], false);
        resolver_cancel(now->asking[i].query);
    }
    for (size_t i = 0; i < now->count; i++)
        close_attempt(&now->attempts[i]);
    connector->now = NULL;
    free(now->race);
    free(now);
}

static void finish(struct connector *connector, const struct connector_result *result)
{
    connector_cancel(connector);
    connector->options.done(connector->options.context, result);
}

static void fail_by_errno(struct connector *connector, int code)
{
    const struct connector_result result = {.fd = -1, .code = code, .reason = strerror(code)};

    finish(connector, &result);
}

/* Says why no address was found: what nobody could tell says more than a denial. */
static const char *reason_of(const struct connecting *now)
{
    static const size_t order[] = {ADDRESS_BOTH, ADDRESS_IPV4, ADDRESS_IPV6};
    const char *reason = NULL;

    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
        const struct asking *asking = &now->asking[order[i]];
        if (asking->reason != NULL && !asking->is_denied)
            return asking->reason;
        if (reason == NULL)
            reason = asking->reason;
    }
    return reason != NULL ? reason : "no address";
}

static void fail(struct connector *connector)
{
    const struct connector_result result = {.fd = -1, .reason = reason_of(connector->now)};

    if (connector->now->code != 0)
        fail_by_errno(connector, connector->now->code);
    else
        finish(connector, &result);
}

/* ---- sockets ---- */

static socklen_t socket_len(const struct sockaddr_storage *address)
{
    switch (address->ss_family) {
    case AF_INET:
        return sizeof(struct sockaddr_in);
    case AF_INET6:
        return sizeof(struct sockaddr_in6);
    default:
        return sizeof(struct sockaddr_un);
    }
}

/* How much an errno tells about the peer. A family that this host has no way for tells nothing. "Refused" is
 * the whole truth only if no other address failed in another way. */
static unsigned weight_of(int code)
{
    switch (code) {
    case 0: /* none has failed yet */
    case ENETUNREACH:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return 0;
    case ECONNREFUSED:
        return 1;
    default:
        return 2;
    }
}

static void note_failure(struct connecting *now, int code)
{
    if (weight_of(code) >= weight_of(now->code))
        now->code = code;
    if (now->race != NULL)
        address_race_lost(now->race);
}

static void advance(struct connector *connector);

static void win(struct connector *connector, struct attempt *attempt)
{
    const struct connector_result result = {.fd = attempt->io.fd};

    ev_io_stop(connector->loop, &attempt->io);
    ev_io_set(&attempt->io, -1, EV_NONE);
    if (is_name(connector)) {
        connector->names->used = *attempt->address;
        connector->names->addresses.stumbles++;
    }
    finish(connector, &result);
}

static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
    struct attempt *attempt = container_of(io, struct attempt, io);
    struct connector *connector = attempt->connector;
    int code = 0;
    socklen_t len = sizeof(code);

    (void)loop;
    (void)events;
    if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &code, &len) == -1)
        code = errno;
    if (code == 0) {
        win(connector, attempt);
        return;
    }
    close_attempt(attempt);
    note_failure(connector->now, code);
    advance(connector);
}

/* Returns 0 or an errno. */
static int open_socket(const struct sockaddr_storage *address, bool is_asked_often, int *ret_fd)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return errno;
    if (address->ss_family != AF_UNIX)
        socket_tune_tcp(fd, is_asked_often ? 0 : KEEP_IDLE_S, KEEP_INTERVAL_S);
    /* An interrupted connect() goes on, too (connect(2)). */
    if (connect(fd, (const struct sockaddr *)address, socket_len(address)) == -1 && errno != EINPROGRESS &&
        errno != EINTR) {
        int code = errno;
        close(fd);
        return code;
    }
    *ret_fd = fd;
    return 0;
}

static void try(struct connector *connector, const struct sockaddr_storage *address)
{
    struct connecting *now = connector->now;
    struct attempt *attempt = &now->attempts[now->count++];
    int fd = -1;
    int code = open_socket(address, connector->options.is_asked_often, &fd);

    attempt->connector = connector;
    attempt->address = address;
    ev_io_init(&attempt->io, on_socket, fd, EV_WRITE);
    loop_put_first(&attempt->io);
    if (code != 0)
        note_failure(now, code);
    else
        ev_io_start(connector->loop, &attempt->io);
}

/* ---- look-ups ---- */

static void on_answer(void *context, const struct resolver_answer *answer)
{
    struct asking *asking = context;
    struct connector *connector = asking->connector;
    enum address_source source = (enum address_source)(asking - connector->now->asking);
    enum address_state state = answer->count > 0   ? ADDRESS_FOUND
                               : answer->is_denied ? ADDRESS_DENIED
                                                   : ADDRESS_FAILED;

    asking->query = NULL;
    note_time(connector, asking, true);
    asking->is_denied = answer->is_denied;
    asking->reason = answer->count == 0 ? answer->reason : NULL;
    address_race_answer(connector->now->race, source, state, answer->addresses, answer->count);
    advance(connector);
}

static void ask(struct connector *connector, enum address_source source)
{
    static const int families[] = {
        [ADDRESS_BOTH] = AF_UNSPEC, [ADDRESS_IPV6] = AF_INET6, [ADDRESS_IPV4] = AF_INET};
    struct asking *asking = &connector->now->asking[source];
    const struct resolver_options options = {
        .name = &connector->peer,
        .family = families[source],
        .is_slow = connector->names->is_slow[source],
        .done = on_answer,
        .context = asking,
    };

    asking->connector = connector;
    asking->begun_ms = clock_ms();
    asking->query = resolver_lookup(connector->resolver, &options);
    if (asking->query != NULL)
        return;
    asking->reason = "no thread or memory for the look-up";
    address_race_answer(connector->now->race, source, ADDRESS_FAILED, NULL, 0);
}

/* ---- an attempt ---- */

static void begin_try(struct connector *connector, const struct sockaddr_storage *address)
{
    if (is_name(connector) && connector->now->count == 0)
        connector->options.found(connector->options.context);
    try(connector, address);
}

/* What to do now, where the peer is an address: there is one attempt. */
static enum address_action next_of_one(const struct connector *connector,
                                       const struct sockaddr_storage **ret_address)
{
    struct connecting *now = connector->now;
    socklen_t len = 0;

    if (now->count > 0)
        return now->attempts[0].io.fd == -1 ? ADDRESS_FAIL : ADDRESS_WAIT;
    *ret_address = &now->address;
    return socket_addr_from(&connector->peer, &now->address, &len) ? ADDRESS_TRY : ADDRESS_FAIL;
}

/* Does all that is due. May end the attempt. */
static void advance(struct connector *connector)
{
    struct connecting *now = connector->now;
    const struct sockaddr_storage *address = NULL;

    for (;;) {
        switch (now->race != NULL ? address_race_next(now->race, clock_ms(), &address)
                                  : next_of_one(connector, &address)) {
        case ADDRESS_ASK_FAMILIES:
            ask(connector, ADDRESS_IPV6);
            ask(connector, ADDRESS_IPV4);
            break;
        case ADDRESS_TRY:
            begin_try(connector, address);
            break;
        case ADDRESS_WAIT:
            loop_arm(connector->loop, &connector->timer, now->race != NULL ? now->race->wake_ms : INT64_MAX);
            return;
        case ADDRESS_FAIL:
            fail(connector);
            return;
        }
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct connector *connector = container_of(timer, struct connector, timer);

    (void)loop;
    (void)events;
    if (connector->now == NULL)
        fail_by_errno(connector, ENOMEM);
    else
        advance(connector);
}

/* False if memory is short. */
static bool remember(struct connector *connector)
{
    if (connector->names == NULL)
        connector->names = calloc(1, sizeof(*connector->names));
    if (connector->names == NULL)
        return false;
    if (!addr_equals(&connector->names->name, &connector->peer))
        *connector->names = (struct name_memory){.name = connector->peer};
    return true;
}

static struct connecting *make_room(size_t attempts)
{
    return calloc(1, sizeof(struct connecting) + attempts * sizeof(struct attempt));
}

/* False if memory is short. */
static bool begin_race(struct connector *connector, uint32_t limit_ms)
{
    struct address_race *race = malloc(sizeof(*race));

    if (race == NULL || !remember(connector) ||
        (connector->now = make_room(ADDRESS_RACE_TRIES_MAX)) == NULL) {
        free(race);
        return false;
    }
    connector->now->race = race;
    address_race_begin(race, &connector->names->addresses, limit_ms, clock_ms());
    ask(connector, ADDRESS_BOTH);
    return true;
}

/* False if memory is short. */
static bool begin(struct connector *connector, uint32_t limit_ms)
{
    if (is_name(connector))
        return begin_race(connector, limit_ms);
    connector->now = make_room(1);
    return connector->now != NULL;
}

void connector_start(struct connector *connector, const struct addr *peer, uint32_t limit_ms)
{
    connector->peer = *peer;
    (void)begin(connector, limit_ms);
    /* What comes of it is told by the timer. */
    loop_arm(connector->loop, &connector->timer, clock_ms());
}

void connector_keep(struct connector *connector)
{
    if (!is_name(connector))
        return;
    connector->names->addresses.good = connector->names->used;
    connector->names->addresses.stumbles = 0;
}

struct connector *connector_create(struct ev_loop *loop, struct resolver *resolver,
                                   const struct connector_options *options)
{
    struct connector *connector = calloc(1, sizeof(*connector));

    if (connector == NULL)
        return NULL;
    connector->loop = loop;
    connector->resolver = resolver;
    connector->options = *options;
    ev_timer_init(&connector->timer, on_timer, 0.0, 0.0);
    return connector;
}

void connector_destroy(struct connector *connector)
{
    if (connector == NULL)
        return;
    connector_cancel(connector);
    free(connector->names);
    free(connector);
}
