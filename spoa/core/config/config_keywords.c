#include "spoa/core/config/config_keywords.h"

#include <string.h>

#include "spoa/core/base/words.h"

#define AGENT(field) offsetof(struct config_agent, field)
#define GROUP(field) offsetof(struct config_voters, field)
#define SERVICE(field) offsetof(struct config_service, field)
#define LIVE CONFIG_RELOAD_LIVE
#define RESTART CONFIG_RELOAD_RESTART

/* Most types of lists take the struct of the whole section: offset 0. */
const struct config_keyword config_keywords[] = {
    {CONFIG_AGENT, "listen", &config_type_listens, AGENT(listens), NULL, true, LIVE,
     "where HAProxy connects: `127.0.0.1:9012` (the default where none is given), `[::1]:9012`, "
     "`[::]:9012` (all addresses, also those of IPv4 unless `0.0.0.0:9012` is listed as well), "
     "`unix:/path mode=660 owner=USER group=GROUP`; port 0 lets the kernel choose. `0.0.0.0:9012 "
     "allow=10.0.0.0/8 allow=10.1.2.3`: only hosts of these networks may connect there. `0.0.0.0:9012 "
     "tls-cert=FILE tls-key=FILE`: TLS only, with this certificate and its chain and this key (PEM). "
     "`tls-client-ca=FILE` behind that: HAProxy needs a certificate, too, which one of these authorities "
     "has signed"},
    {CONFIG_AGENT, "check", &config_type_listens, AGENT(checks), NULL, true, LIVE,
     "where HAProxy's agent-checks connect (`agent-send \"SERVICE SERVER\\n\"`), as `listen` but by TCP "
     "only and without TLS; they make it cut the sessions to an old master where it has no runtime API for "
     "us"},
    {CONFIG_AGENT, "http", &config_type_listens, AGENT(web), NULL, true, LIVE,
     "where the status page, `/metrics` and health checks are served, as `listen` but without TLS; it "
     "asks for no password. `10.0.0.5:9912 token-file=FILE`: each request must carry the token in the "
     "first line of this file (`Authorization: Bearer TOKEN`), but not those for `/healthz` and "
     "`/readyz`. These two are also for the own host, whatever `allow` says"},
    {CONFIG_AGENT, "takeover", &config_type_listens, AGENT(takeovers), NULL, false, LIVE,
     "a UNIX socket, `unix:/path mode=600`. A newer agent with the same configuration that is started with "
     "`--takeover` gets our listeners and connections there; it must run as the same user, or as root"},
    {CONFIG_AGENT, "allow", &config_type_networks, AGENT(allowed), NULL, true, LIVE,
     "a network, `10.0.0.0/8`, whose hosts may connect by TCP to addresses that have no `allow=` of their "
     "own. Without any, all hosts may connect. A peer that connects to `[::]` by IPv4 counts as IPv4"},
    {CONFIG_AGENT, "max-connections", &config_type_count, AGENT(connections_max), "10000", false, LIVE,
     "connections for SPOP at one time; of those beyond only health checks are answered"},
    {CONFIG_AGENT, "idle-timeout", &config_type_duration, AGENT(idle_timeout_ms), "10m", false, LIVE,
     "a connection for SPOP on which nothing was asked for so long is closed: longer than HAProxy's own time "
     "limit; 0: never"},
    {CONFIG_AGENT, "log-level", &config_type_level, AGENT(log_level), "info", false, LIVE,
     "`error`, `warning`, `info` or `debug`"},
    {CONFIG_AGENT, "log-format", &config_type_format, AGENT(log_format), "logfmt", false, LIVE,
     "`logfmt` or `json`"},
    {CONFIG_AGENT, "syslog", &config_type_text, AGENT(syslog), NULL, false, LIVE,
     "the path of a syslog socket, `/dev/log`: the log goes there and not to stderr"},
    {CONFIG_AGENT, "drain-timeout", &config_type_duration, AGENT(drain_timeout_ms), "5s", false, LIVE,
     "how long a stop may take that waits for HAProxy to close its connections"},
    {CONFIG_AGENT, "park-max", &config_type_count, AGENT(park_max), "10000", false, RESTART,
     "streams that may wait for a master at one time; those beyond are answered at once"},
    {CONFIG_AGENT, "user", &config_type_text, AGENT(user), NULL, false, RESTART,
     "become this user after the start as root; it must be able to read the configuration for a reload"},
    {CONFIG_AGENT, "group", &config_type_text, AGENT(group), NULL, false, RESTART,
     "and this group, where it is not the user's own"},
    {CONFIG_AGENT, "sandbox", &config_type_bool, AGENT(sandbox), "yes", false, RESTART,
     "give up after the start the right to read and write other files than those that the configuration "
     "names and what stands beside them (Landlock, where the kernel has it)"},
    {CONFIG_AGENT, "autoreload", &config_type_bool, AGENT(autoreload), "no", false, LIVE,
     "reload by itself when the file, or one that it names for a password or for TLS, has changed: a "
     "Kubernetes ConfigMap or Secret, for example; about a second later"},
    {CONFIG_HAPROXY, "runtime-api", &config_type_runtime_apis, 0, NULL, true, LIVE,
     "where a HAProxy takes commands (`stats socket ... level admin`): `/run/haproxy/admin.sock` or "
     "`10.0.0.5:9999`; at a switch it is told to cut the sessions to the old master. "
     "`master:/run/haproxy-master.sock` is the socket of its master (`haproxy -W -S`): processes that a "
     "reload "
     "of HAProxy has replaced are told, too"},
    {CONFIG_HAPROXY, "backend", &config_type_names, offsetof(struct config_haproxy, backends), NULL, true,
     LIVE,
     "HAProxy's backend that leads to masters; several may stand in a line. Not one that leads to replicas: "
     "their sessions would be cut as well"},
    {CONFIG_SENTINELS, "source", &config_type_source, GROUP(source), "sentinel", false, LIVE,
     "in `[nodes NAME]`, who says who the master is: with `replication` the Redis nodes themselves (`ROLE`), "
     "with "
     "`cluster` the nodes of a Redis Cluster (`CLUSTER SLOTS`)"},
    {CONFIG_SENTINELS, "address", &config_type_addresses, 0, NULL, true, LIVE,
     "one Sentinel: `HOST:PORT`; list all of them: the majority is that of the configured ones. In `[nodes "
     "NAME]` one "
     "node; where none is given, the servers of the services that refer to it"},
    {CONFIG_SENTINELS, "username", &config_type_text, GROUP(credentials.username), NULL, false, LIVE,
     "user for AUTH, where Sentinel has access lists"},
    {CONFIG_SENTINELS, "password", &config_type_password, GROUP(credentials), NULL, false, LIVE,
     "password for AUTH"},
    {CONFIG_SENTINELS, "password-file", &config_type_text, GROUP(credentials.password_file), NULL, false,
     LIVE, "file whose first line is the password"},
    {CONFIG_SENTINELS, "tls", &config_type_tls, GROUP(tls), "no", false, LIVE,
     "talk TLS to the Sentinels, whose certificates must be for the host names or addresses as they stand "
     "here"},
    {CONFIG_SENTINELS, "tls-ca", &config_type_text, GROUP(tls.ca_file), NULL, false, LIVE,
     "file of the authorities (PEM) that may have signed them; else those of the system"},
    {CONFIG_SENTINELS, "tls-cert", &config_type_text, GROUP(tls.cert_file), NULL, false, LIVE,
     "file of our own certificate and its chain (PEM), where they want one"},
    {CONFIG_SENTINELS, "tls-key", &config_type_text, GROUP(tls.key_file), NULL, false, LIVE,
     "file of its key (PEM, without a passphrase)"},
    {CONFIG_SENTINELS, "tls-server-name", &config_type_text, GROUP(tls.server_name), NULL, false, LIVE,
     "the name that their certificates must have in place of the one that stands here"},
    {CONFIG_SENTINELS, "poll", &config_type_duration, GROUP(poll_ms), "1s", false, LIVE,
     "how often every Sentinel is asked when nothing happens"},
    {CONFIG_SENTINELS, "reply-timeout", &config_type_duration, GROUP(reply_timeout_ms), "500ms", false, LIVE,
     "a reply that takes longer is no vote"},
    {CONFIG_SENTINELS, "connect-timeout", &config_type_duration, GROUP(connect_timeout_ms), "500ms", false,
     LIVE,
     "how long connecting to a Sentinel may take once its address is known; the look-up of its name may take "
     "twenty times as long, but not over a minute"},
    {CONFIG_SENTINELS, "vote-life", &config_type_duration, GROUP(vote_life_ms), "2s", false, LIVE,
     "how long a vote counts from the moment it was asked for; longer than `poll` + `reply-timeout`, shorter "
     "than "
     "Sentinel's `down-after-milliseconds`"},
    {CONFIG_SENTINELS, "subscribe", &config_type_bool, GROUP(subscribe), "yes", false, LIVE,
     "take Sentinel's events as a reason to ask at once; without the right to subscribe the agent polls"},
    {CONFIG_SERVICE, "monitor", &config_type_text, SERVICE(monitor), NULL, false, LIVE,
     "the master's name in Sentinel, where it is not the service's"},
    {CONFIG_SERVICE, "sentinels", &config_type_text, SERVICE(sentinels), NULL, false, LIVE,
     "the group `[sentinels NAME]` that monitors it, where it is not the unnamed one"},
    {CONFIG_SERVICE, "nodes", &config_type_text, SERVICE(nodes), NULL, false, LIVE,
     "the group `[nodes NAME]` that says who the master is, where no Sentinel does"},
    {CONFIG_SERVICE, "slot", &config_type_slot, SERVICE(slot), NULL, false, LIVE,
     "with `source = cluster`: a slot, 0 to 16383; the service is the shard that has it"},
    {CONFIG_SERVICE, "when-alone", &config_type_when_alone, SERVICE(when_alone), "refuse", false, LIVE,
     "with `source = replication`, where fewer nodes than a majority are in reach: `refuse`, or `name` one "
     "that says that "
     "it is the master if no other in reach speaks against it (state `witnessed`); of two nodes, the one "
     "that is left"},
    {CONFIG_SERVICE, "server", &config_type_servers, 0, NULL, true, LIVE,
     "`NAME HOST:PORT`: HAProxy's server name, and the node's main address: `role-check` calls it, and "
     "`addr` and `port` tell it to HAProxy. `alias=HOST:PORT`, as often as needed: what else a Sentinel or "
     "another node may call it, such as a name, an address of the other family or one behind NAT. "
     "`weight=N` (0 to 256, else 1): how often it is named as a replica beside the others, 0: never"},
    {CONFIG_SERVICE, "quorum", &config_type_count, SERVICE(quorum), NULL, false, LIVE,
     "votes that a master needs: the majority of the group (the default) or more"},
    {CONFIG_SERVICE, "allow-any-address", &config_type_bool, SERVICE(allow_any_address), "no", false, LIVE,
     "also name an address that no `server` has, by `addr` and `port` only (for `set-dst`); `role-check` "
     "then sends the password to every address that a majority names"},
    {CONFIG_SERVICE, "backend", &config_type_names, SERVICE(backends), NULL, true, LIVE,
     "HAProxy's backend of this service, where it is not that of `[haproxy]`; several may stand in a line"},
    {CONFIG_SERVICE, "check-mode", &config_type_check_mode, SERVICE(check_mode), "pulse", false, LIVE,
     "what agent-checks are told: with `pulse` all servers are up, but for a while one that was replaced; "
     "with "
     "`master` only the master is up"},
    {CONFIG_SERVICE, "check-pulse", &config_type_duration, SERVICE(check_pulse_ms), "5s", false, LIVE,
     "how long a server that was replaced is told to be down: longer than twice HAProxy's `agent-inter`"},
    {CONFIG_SERVICE, "check-delay", &config_type_duration, SERVICE(check_delay_ms), "0", false, LIVE,
     "how long after its replacement that begins: 0, or for HAProxy 2.8 to 3.1 longer than its `timeout "
     "connect`, else clients that are connecting hang"},
    {CONFIG_SERVICE, "replicas", &config_type_bool, SERVICE(replicas), "no", false, LIVE,
     "answer `role=replica` as well: by turns a server that a majority of the Sentinels holds to be a "
     "replica "
     "of the master, and up (`SENTINEL REPLICAS`)"},
    {CONFIG_SERVICE, "max-lag", &config_type_lag, SERVICE(max_lag), "0", false, LIVE,
     "a replica that is further behind is not named, as the master says in its reply to `ROLE`: bytes such "
     "as "
     "`512kb` or `10mb`, or time such as `5s`; 0: no limit"},
    {CONFIG_SERVICE, "replica-fallback", &config_type_replica_fallback, SERVICE(replica_fallback), "none",
     false, LIVE, "where there is no replica: `none` (state `no-replica`) or `master`"},
    {CONFIG_SERVICE, "park", &config_type_park, SERVICE(park_ms), "auto", false, LIVE,
     "how long an answer is kept back while nobody can be named, so that clients wait where they were "
     "refused; shorter than HAProxy's `timeout processing`; 0: not at all. `auto` is the time that a "
     "failover takes: the longest `down-after-milliseconds` that a Sentinel told (with `source = "
     "replication` our `down-after`) and 2 s. It is 8 s at most, and if nobody told it"},
    {CONFIG_SERVICE, "gone-clients", &config_type_gone_clients, SERVICE(gone_clients), "refuse", false, LIVE,
     "what becomes of a client that has closed its end while it waits: with `refuse` HAProxy gets no name, "
     "and what the client had sent is dropped; with `serve` it may be executed later"},
    {CONFIG_SERVICE, "role-check", &config_type_role_check, SERVICE(role_check), "veto", false, LIVE,
     "the named node is asked for its `ROLE`: with `veto` one that says that it is no master is not named, "
     "with "
     "`require` a new one only once it has said that it is; or `off`"},
    {CONFIG_SERVICE, "username", &config_type_text, SERVICE(credentials.username), NULL, false, LIVE,
     "user of the nodes for `role-check`, where they have access lists"},
    {CONFIG_SERVICE, "password", &config_type_password, SERVICE(credentials), NULL, false, LIVE,
     "password of the nodes for `role-check`; without `allow-any-address` only addresses of the map get it"},
    {CONFIG_SERVICE, "password-file", &config_type_text, SERVICE(credentials.password_file), NULL, false,
     LIVE, "file whose first line is that password"},
    {CONFIG_SERVICE, "tls", &config_type_tls, SERVICE(tls), "no", false, LIVE,
     "talk TLS to the nodes for `role-check`; their certificates must be for the main address of their "
     "`server`. Where a service has none of these keys, nodes that vote get the TLS settings of their group"},
    {CONFIG_SERVICE, "tls-ca", &config_type_text, SERVICE(tls.ca_file), NULL, false, LIVE,
     "file of the authorities (PEM) that may have signed them; else those of the system"},
    {CONFIG_SERVICE, "tls-cert", &config_type_text, SERVICE(tls.cert_file), NULL, false, LIVE,
     "file of our own certificate and its chain (PEM), where they want one"},
    {CONFIG_SERVICE, "tls-key", &config_type_text, SERVICE(tls.key_file), NULL, false, LIVE,
     "file of its key (PEM, without a passphrase)"},
    {CONFIG_SERVICE, "tls-server-name", &config_type_text, SERVICE(tls.server_name), NULL, false, LIVE,
     "the name that their certificates must have in place of that"},
    {CONFIG_SERVICE, "debounce", &config_type_duration, SERVICE(debounce_ms), "1s", false, LIVE,
     "a loss of the majority that is shorter is `pending`, not `no-quorum`"},
    {CONFIG_SERVICE, "witness", &config_type_bool, SERVICE(witness), "no", false, LIVE,
     "where too few Sentinels are in reach, believe those that are if one of them sees a majority (`SENTINEL "
     "CKQUORUM`): state `witnessed`"},
    {CONFIG_SERVICE, "keep", &config_type_duration, SERVICE(keep_ms), "0", false, LIVE,
     "how long the last master is still named when too few Sentinels are in reach: state `kept`; never after "
     "a "
     "disagreement"},
    {CONFIG_SERVICE, "keep-when", &config_type_keep_when, SERVICE(keep_when), "unreachable", false, LIVE,
     "`unreachable`: for whatever cause; `refused`: only if all that are missing refuse connections, so that "
     "they are dead and we are not cut off"},
    {CONFIG_SERVICE, "fence", &config_type_duration, SERVICE(fence_ms), "0", false, LIVE,
     "after so long without a majority existing sessions are to be cut as well; 0: never"},
    {CONFIG_SERVICE, "down-after", &config_type_duration, SERVICE(down_after_ms), "0", false, LIVE,
     "a master that a majority has not heard for this long is down: new connections wait and existing "
     "sessions "
     "are cut, long before Sentinel's own `down-after-milliseconds`; at least 1500 ms; with "
     "`source = replication` longer than Redis' `repl-ping-replica-period`; 0: never"},
    {CONFIG_SERVICE, "early-fence", &config_type_bool, SERVICE(early_fence), "no", false, LIVE,
     "when a failover begins, name the old master no more and cut its sessions: not only when the new one is "
     "named"},
    {CONFIG_SERVICE, "early-fence-max", &config_type_duration, SERVICE(early_fence_max_ms), "3s", false, LIVE,
     "for so long at the most, where nothing comes of it; not longer than `park`, for then clients wait"},
    {CONFIG_SERVICE, "on-switch", &config_type_text, SERVICE(on_switch), NULL, false, LIVE,
     "a program, `/path/to/it` and its arguments, that is run without a shell when another master is named, "
     "one at a time; "
     "with it `sandbox` does not restrict files"},
    {CONFIG_SERVICE, "on-switch-timeout", &config_type_duration, SERVICE(on_switch_timeout_ms), "30s", false,
     LIVE, "after this time it gets SIGTERM, and 2 s later SIGKILL"},
    {CONFIG_SERVICE, "on-switch-retry", &config_type_duration, SERVICE(on_switch_retry_ms), "1s", false, LIVE,
     "if it fails it is run again: after this time, then after twice as long, and so on, five times; 0: "
     "never"},
};

const size_t config_keyword_count = sizeof(config_keywords) / sizeof(*config_keywords);

const char *const config_section_names[CONFIG_SECTIONS] = {
    [CONFIG_AGENT] = "agent",
    [CONFIG_HAPROXY] = "haproxy",
    [CONFIG_SENTINELS] = "sentinels",
    [CONFIG_SERVICE] = "service",
};

uint64_t config_keyword_bit(const struct config_keyword *keyword)
{
    unsigned place = 0;

    for (const struct config_keyword *one = config_keywords; one != keyword; one++)
        place += one->section == keyword->section;
    return (uint64_t)1 << place;
}

const struct config_keyword *config_keyword_find(enum config_section_kind section, const char *key)
{
    for (size_t i = 0; i < config_keyword_count; i++)
        if (config_keywords[i].section == section && strcmp(config_keywords[i].key, key) == 0)
            return &config_keywords[i];
    return NULL;
}

const char *config_keyword_nearest(enum config_section_kind section, const char *key)
{
    const char *nearest = NULL;
    unsigned best = WORDS_FAR;

    for (size_t i = 0; i < config_keyword_count; i++) {
        const struct config_keyword *keyword = &config_keywords[i];
        if (keyword->section != section)
            continue;
        unsigned distance = words_distance(key, keyword->key);
        if (distance < best && distance <= strlen(keyword->key) / 2) {
            best = distance;
            nearest = keyword->key;
        }
    }
    return nearest;
}

void config_each_keyword(void (*each)(void *context, const struct config_keyword_info *info), void *context)
{
    for (size_t i = 0; i < config_keyword_count; i++) {
        const struct config_keyword *keyword = &config_keywords[i];
        struct config_keyword_info info = {
            .section = config_section_names[keyword->section],
            .key = keyword->key,
            .form = keyword->type->form,
            .preset = keyword->preset,
            .help = keyword->help,
            .repeatable = keyword->repeatable,
            .reload = keyword->reload,
        };
        each(context, &info);
    }
}
