#include "tests/sim/haproxy_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/ghost.h"

/* The worlds with a runtime API, in percent. They take longer. */
#define PERCENT_WITH_API 33
/* A client that was sent to a server is there so soon. It must be before the agent's last cut. */
#define ARRIVAL_MS 400
#define CALL_TIMEOUT_MS 2000

static struct rng *rng_of(struct world *world)
{
    return &world->haproxy_rng;
}

void haproxy_configure(struct world *world)
{
    static const char *const versions[] = {"2.6.12", "3.0.11", "3.2.5"};
    struct rng *rng = rng_of(world);
    bool is_there = rng_chance(rng, PERCENT_WITH_API);

    world->config.file.has_api = rng_chance(rng, 90);
    for (unsigned i = 0; i < world->config.agents; i++) {
        unsigned version = rng_below(rng, sizeof(versions) / sizeof(*versions));
        world->agents[i].haproxy = (struct sim_haproxy){
            .is_there = is_there,
            .is_master = rng_chance(rng, 50),
            .version = versions[version],
            .hangs = version == 1,
            .delay_ms = rng_chance(rng, 60) ? 0 : SIM_CALL_MAX_MS,
            .api = SIM_API_ANSWERS,
            .well_since_ms = world->now_ms,
            .last_pid = 1,
            .workers = {{.pid = 1}},
        };
    }
}

/* ---- sessions ---- */

static bool is_in(const struct world *world, const struct sim_session *session)
{
    return session->is_there && session->since_ms <= world->now_ms;
}

/* A place for a session. If there is none, some client leaves whose session need not be cut. NULL: none does. */
static struct sim_session *find_room(struct sim_haproxy *haproxy)
{
    for (unsigned i = 0; i < SIM_SESSIONS_MAX; i++)
        if (!haproxy->sessions[i].is_there)
            return &haproxy->sessions[i];
    for (unsigned i = 0; i < SIM_SESSIONS_MAX; i++) {
        struct sim_session *session = &haproxy->sessions[haproxy->next_session++ % SIM_SESSIONS_MAX];
        if (session->owed_ms == GHOST_NEVER)
            return session;
    }
    return NULL;
}

/* Most servers accept at once. */
static int64_t draw_connect_ms(struct rng *rng)
{
    if (rng_chance(rng, 60))
        return 0;
    return rng_between(rng, 1, rng_chance(rng, 70) ? 300 : 2000);
}

void haproxy_take_client(struct world *world, unsigned agent, unsigned service, int8_t address)
{
    struct sim_haproxy *haproxy = &world->agents[agent].haproxy;
    struct rng *rng = rng_of(world);

    if (!haproxy->is_there || address < 0 || address >= SIM_SERVERS || !rng_chance(rng, 25))
        return;
    struct sim_session *session = find_room(haproxy);
    if (session == NULL)
        return;
    int64_t since_ms = world->now_ms + (rng_chance(rng, 70) ? 0 : rng_between(rng, 1, ARRIVAL_MS));
    *session = (struct sim_session){
        .is_there = true,
        .id = ++haproxy->last_id,
        .worker = (uint8_t)haproxy->current,
        .service = (uint8_t)service,
        .address = (uint8_t)address,
        .since_ms = since_ms,
        .established_ms = since_ms + draw_connect_ms(rng),
        .owed_ms = GHOST_NEVER,
    };
    world->counts.sessions++;
}

void haproxy_let_in(struct world *world, unsigned agent)
{
    struct sim_haproxy *haproxy = &world->agents[agent].haproxy;

    for (unsigned i = 0; i < SIM_SESSIONS_MAX; i++)
        if (haproxy->sessions[i].since_ms > world->now_ms)
            haproxy->sessions[i].since_ms = world->now_ms;
}

/* A session that came after the agent has looked is out of its sight: it counts as gone. */
static void shut(struct world *world, const struct sim_haproxy *haproxy, struct sim_session *session)
{
    if (session->hangs)
        return;
    world->counts.shut++;
    world->counts.shut_late +=
        session->owed_ms != GHOST_NEVER && session->owed_ms < world->now_ms - CUT_BACKOFF_MAX_MS;
    world->counts.shut_old += haproxy->workers[session->worker].is_old;
    if (haproxy->hangs && session->is_listed && session->established_ms > world->now_ms)
        session->hangs = true;
    else
        session->is_there = false;
}

/* ---- processes ---- */

static bool has_sessions(const struct sim_haproxy *haproxy, unsigned place)
{
    for (unsigned i = 0; i < SIM_SESSIONS_MAX; i++)
        if (haproxy->sessions[i].is_there && haproxy->sessions[i].worker == place)
            return true;
    return false;
}

bool haproxy_has_worker(const struct world *world, unsigned agent, unsigned place)
{
    const struct sim_haproxy *haproxy = &world->agents[agent].haproxy;
    const struct sim_worker *worker = &haproxy->workers[place];

    return worker->pid != 0 && (!worker->is_old || has_sessions(haproxy, place));
}

void haproxy_set_api(struct world *world, unsigned agent, enum sim_api_state api)
{
    struct sim_haproxy *haproxy = &world->agents[agent].haproxy;

    haproxy->api = api;
    haproxy->well_since_ms = world->now_ms;
    world_trace(world, "agent %u: its HAProxy's runtime API is %d", agent, (int)api);
}

/* Without a master the old process would be out of reach. */
void haproxy_reload(struct world *world, unsigned agent)
{
    struct sim_haproxy *haproxy = &world->agents[agent].haproxy;

    for (unsigned i = 0; haproxy->is_master && i < SIM_WORKERS_MAX; i++) {
        if (haproxy_has_worker(world, agent, i))
            continue;
        haproxy->workers[haproxy->current].is_old = true;
        haproxy->workers[i] = (struct sim_worker){.pid = ++haproxy->last_pid};
        haproxy->current = i;
        world_trace(world, "agent %u: its HAProxy reloads", agent);
        return;
    }
}

void haproxy_restart(struct world *world, unsigned agent)
{
    struct sim_haproxy *haproxy = &world->agents[agent].haproxy;

    world_trace(world, "agent %u: its HAProxy restarts", agent);
    memset(haproxy->sessions, 0, sizeof(haproxy->sessions));
    memset(haproxy->workers, 0, sizeof(haproxy->workers));
    haproxy->current = 0;
    haproxy->workers[0].pid = ++haproxy->last_pid;
}

/* ---- the runtime API (management guide, section 9.3) ---- */

static const char *const server_names[SIM_SERVERS] = {"R1", "R2", "R3"};

__attribute__((format(printf, 2, 3))) static void say(struct sim_call *call, const char *format, ...)
{
    size_t room = sizeof(call->bytes) - call->len;
    va_list arguments;

    va_start(arguments, format);
    int len = vsnprintf(call->bytes + call->len, room, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= room)
        abort();
    call->len += (size_t)len;
}

static const char *after(const char *text, const char *part)
{
    size_t len = strlen(part);

    return strncmp(text, part, len) == 0 ? text + len : NULL;
}

/* Reads "b0/R1". */
static bool read_server(const char *text, unsigned *ret_service, unsigned *ret_address)
{
    if (text[0] != 'b' || text[2] != '/' || text[3] != 'R')
        return false;
    *ret_service = (unsigned)(text[1] - '0');
    *ret_address = (unsigned)(text[4] - '1');
    return *ret_service < SIM_SERVICES_MAX && *ret_address < SIM_SERVERS;
}

static void list_sessions(const struct world *world, struct sim_haproxy *haproxy, unsigned place,
                          struct sim_call *call)
{
    for (unsigned i = 0; i < SIM_SESSIONS_MAX; i++) {
        struct sim_session *session = &haproxy->sessions[i];
        if (!is_in(world, session) || session->worker != place)
            continue;
        session->is_listed = true;
        say(call, "0x%x: proto=tcpv4 fe=f be=b%u srv=%s scb=[%d,1h]\n", session->id, session->service,
            server_names[session->address], session->established_ms > world->now_ms ? 2 : 8);
    }
    say(call, "0xffffffff: proto=unix_stream fe=GLOBAL be=<NONE> srv=<none> scb=[8,0h]\n\n");
}

static void shut_server(struct world *world, unsigned agent, unsigned place, const char *name,
                        struct sim_call *call)
{
    struct sim_haproxy *haproxy = &world->agents[agent].haproxy;
    unsigned service = 0;
    unsigned address = 0;

    if (!read_server(name, &service, &address)) {
        say(call, "No such backend.\n\n");
        return;
    }
    if (haproxy->workers[place].is_old) {
        say(call, "Proxy is disabled.\n\n");
        return;
    }
    ghost_told_to_shut(world, agent, service, address);
    for (unsigned i = 0; i < SIM_SESSIONS_MAX; i++) {
        struct sim_session *session = &haproxy->sessions[i];
        if (is_in(world, session) && session->worker == place && session->service == service &&
            session->address == address)
            shut(world, haproxy, session);
    }
    say(call, "\n");
}

static void shut_one(struct world *world, unsigned agent, unsigned place, const char *number,
                     struct sim_call *call)
{
    struct sim_haproxy *haproxy = &world->agents[agent].haproxy;
    unsigned long id = strtoul(number, NULL, 16);

    for (unsigned i = 0; i < SIM_SESSIONS_MAX; i++) {
        struct sim_session *session = &haproxy->sessions[i];
        if (!is_in(world, session) || session->worker != place || session->id != id)
            continue;
        ghost_told_to_shut(world, agent, session->service, session->address);
        shut(world, haproxy, session);
        say(call, "\n");
        return;
    }
    say(call, "No such session (use 'show sess').\n\n");
}

static void obey_one(struct world *world, unsigned agent, unsigned place, const char *command,
                     struct sim_call *call)
{
    struct sim_haproxy *haproxy = &world->agents[agent].haproxy;
    const char *rest;

    if (strncmp(command, "show info", 9) == 0)
        say(call, "Name: HAProxy\nVersion: %s\n\n", haproxy->version);
    else if (haproxy->api == SIM_API_DENIES && strncmp(command, "shutdown", 8) == 0)
        say(call, "Permission denied\n\n");
    else if (strncmp(command, "show sess", 9) == 0)
        list_sessions(world, haproxy, place, call);
    else if (strncmp(command, "get weight", 10) == 0)
        say(call, "0 (initial 0)\n\n");
    else if ((rest = after(command, "shutdown sessions server ")) != NULL)
        shut_server(world, agent, place, rest, call);
    else if ((rest = after(command, "shutdown session ")) != NULL)
        shut_one(world, agent, place, rest, call);
    else if (strncmp(command, "quit", 4) != 0)
        ghost_violation(world, "command", "agent %u told its HAProxy what it does not know", agent);
}

/* The worker with this number, which is there. SIM_WORKERS_MAX: there is none. */
static unsigned find_worker(const struct world *world, unsigned agent, unsigned long pid)
{
    const struct sim_haproxy *haproxy = &world->agents[agent].haproxy;

    for (unsigned i = 0; i < SIM_WORKERS_MAX; i++)
        if (haproxy->workers[i].pid == pid && haproxy_has_worker(world, agent, i))
            return i;
    return SIM_WORKERS_MAX;
}

/* Obeys each command of the line, or the first `count` of them. */
static void obey_all(struct world *world, unsigned agent, const char *line, unsigned count,
                     struct sim_call *call)
{
    for (const char *at = line; at != NULL && count > 0; count--) {
        unsigned place = world->agents[agent].haproxy.current;
        if (at[0] == '@') {
            char *command = NULL;
            unsigned long pid = strtoul(at + 2, &command, 10);
            place = find_worker(world, agent, pid);
            at = command + 1;
            if (place == SIM_WORKERS_MAX) {
                say(call, "Can't find the target PID %lu\n", pid);
                return;
            }
        }
        obey_one(world, agent, place, at, call);
        at = strchr(at, ';');
        at = at != NULL ? at + 1 : NULL;
    }
}

void haproxy_obey(struct world *world, unsigned agent, const char *line, struct sim_call *ret_call)
{
    const struct sim_haproxy *haproxy = &world->agents[agent].haproxy;
    struct rng *rng = rng_of(world);

    ret_call->failure = NULL;
    ret_call->len = 0;
    ret_call->delay_ms = haproxy->delay_ms > 0 ? rng_between(rng, 0, haproxy->delay_ms) : 0;
    switch (haproxy->api) {
    case SIM_API_REFUSES:
        ret_call->failure = "Connection refused";
        ret_call->delay_ms = 0;
        break;
    case SIM_API_SILENT:
        ret_call->failure = "timeout";
        ret_call->delay_ms = CALL_TIMEOUT_MS;
        break;
    case SIM_API_ANSWERS:
    case SIM_API_DENIES:
        obey_all(world, agent, line, UINT32_MAX, ret_call);
        break;
    case SIM_API_BREAKS:
        obey_all(world, agent, line, rng_below(rng, 3), ret_call);
        ret_call->len = rng_below(rng, (unsigned)ret_call->len + 1);
        break;
    }
}
