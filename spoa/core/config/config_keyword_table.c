/* All keywords, in the order in which the dump and the documentation have them. */
#include "spoa/core/config/config_keywords.h"

#define AGENT(field) offsetof(struct config_agent, field)
#define GROUP(field) offsetof(struct config_voters, field)
#define SERVICE(field) offsetof(struct config_service, field)
#define LIVE CONFIG_RELOAD_LIVE
#define RESTART CONFIG_RELOAD_RESTART

/* Keys that groups and services share. */
#define HELP_PASSWORD_FILE "File whose first line is the password."
#define HELP_TLS_CA                                                                                          \
    "File of the authorities (PEM) that may have signed the certificates. Without it: those of the system."
#define HELP_TLS_CERT "File of our own certificate (PEM, with its chain), where the other side wants one."
#define HELP_TLS_KEY "File of the key of `tls-cert` (PEM, without a passphrase)."
#define HELP_TLS_SERVER_NAME "The name that the certificates must have, in place of the host of the address."

#define EXAMPLE_PASSWORD_FILE "/etc/sentinel-spoa/password"
#define EXAMPLE_TLS_CA "/etc/sentinel-spoa/ca.pem"
#define EXAMPLE_TLS_CERT "/etc/sentinel-spoa/cert.pem"
#define EXAMPLE_TLS_KEY "/etc/sentinel-spoa/key.pem"
#define EXAMPLE_TLS_SERVER_NAME "redis.example.org"

#define RECIPE(name) "../../haproxy-conf/" name "/README.md"

/* Most types of lists take the struct of the whole section: offset 0. */
const struct config_keyword config_keywords[] = {
    {CONFIG_AGENT, "listen", &config_type_listens, AGENT(listens), NULL, true, LIVE,
     .help = "Where HAProxy connects. Without any: `127.0.0.1:9012`. `[::]:9012` is for IPv6 and IPv4; where "
             "`0.0.0.0:9012` is listed as well, each is for its own family. `unix:/path mode=660 owner=USER "
             "group=GROUP` is a UNIX socket. With port 0 the kernel chooses the port. "
             "`allow=10.0.0.0/8` behind an address: only hosts of this network may connect; it may be "
             "repeated. `tls-cert=FILE tls-key=FILE`: TLS only, with this certificate (PEM, with its chain) "
             "and this key. `tls-client-ca=FILE`: HAProxy needs a certificate, too, and one of these "
             "authorities has signed it.",
     .example = "127.0.0.1:9012", .more = "security.md#who-may-connect"},
    {CONFIG_AGENT, "check", &config_type_listens, AGENT(checks), NULL, true, LIVE,
     .help = "Where HAProxy's agent-checks connect (`agent-send \"SERVICE SERVER\\n\"`). With their answers "
             "HAProxy cuts the sessions to an old master where the agent has no runtime API. Options as for "
             "`listen`, but TCP only and without TLS.",
     .example = "127.0.0.1:9013", .see = "service.check-mode", .more = RECIPE("agent-check")},
    {CONFIG_AGENT, "http", &config_type_listens, AGENT(web), NULL, true, LIVE,
     .help = "Where the status page, `/metrics` and the health checks are served. There is no password. "
             "Options as for `listen`, but without TLS. `token-file=FILE`: each request must carry the token "
             "in the first line of this file (`Authorization: Bearer TOKEN`). `/healthz` and `/readyz` need "
             "no token, and our own host may always ask for them, whatever `allow` says.",
     .example = "127.0.0.1:9912", .more = "monitoring.md#http"},
    {CONFIG_AGENT, "takeover", &config_type_listens, AGENT(takeovers), NULL, false, LIVE,
     .help = "A UNIX socket where a newer agent takes our place. It is started with the same configuration "
             "and `--takeover`, and gets our listeners and connections. It must run as the same user, or as "
             "root.",
     .example = "unix:/run/sentinel-spoa/takeover.sock mode=600",
     .more = "failover.md#restart-and-upgrade-the-agent"},
    {CONFIG_AGENT, "allow", &config_type_networks, AGENT(allowed), NULL, true, LIVE,
     .help = "A network whose hosts may connect by TCP to the addresses that have no `allow=` of their own. "
             "Without any, all hosts may connect. A peer that connects to `[::]` by IPv4 counts as IPv4.",
     .example = "10.0.0.0/8", .more = "security.md#who-may-connect"},
    {CONFIG_AGENT, "max-connections", &config_type_count, AGENT(connections_max), "10000", false, LIVE,
     .help = "Most SPOP connections at one time. Beyond that only health checks are answered.",
     .more = "security.md#limits"},
    {CONFIG_AGENT, "idle-timeout", &config_type_duration, AGENT(idle_timeout_ms), "10m", false, LIVE,
     .help = "An SPOP connection is closed when nothing was asked on it for this time. Make it longer than "
             "the time limits of HAProxy's backend for the agent. 0: never."},
    {CONFIG_AGENT, "log-level", &config_type_level, AGENT(log_level), "info", false, LIVE,
     .help = "Messages of this level and worse are logged."},
    {CONFIG_AGENT, "log-format", &config_type_format, AGENT(log_format), "logfmt", false, LIVE,
     .help = "The form of a line in the log.", .more = "monitoring.md#events"},
    {CONFIG_AGENT, "syslog", &config_type_text, AGENT(syslog), NULL, false, LIVE,
     .help = "The path of a syslog socket. The log goes there and not to stderr.", .example = "/dev/log"},
    {CONFIG_AGENT, "drain-timeout", &config_type_duration, AGENT(drain_timeout_ms), "5s", false, LIVE,
     .help = "The longest time that a stop waits for HAProxy to close its connections."},
    {CONFIG_AGENT, "park-max", &config_type_count, AGENT(park_max), "10000", false, RESTART,
     .help = "Most clients that wait for a master at one time. Each further one is answered at once.",
     .see = "service.park"},
    {CONFIG_AGENT, "user", &config_type_text, AGENT(user), NULL, false, RESTART,
     .help = "The user to become after a start as root. It must be able to read the configuration, for a "
             "reload.",
     .example = "sentinel-spoa", .more = "security.md#sandbox"},
    {CONFIG_AGENT, "group", &config_type_text, AGENT(group), NULL, false, RESTART,
     .help = "The group to become with `user`. Without it: the user's own group.", .example = "haproxy"},
    {CONFIG_AGENT, "sandbox", &config_type_bool, AGENT(sandbox), "yes", false, RESTART,
     .help = "After the start, give up the right to use files that the agent does not need (Landlock, where "
             "the kernel has it). It needs those that the configuration names, and what stands beside them.",
     .more = "security.md#sandbox"},
    {CONFIG_AGENT, "autoreload", &config_type_bool, AGENT(autoreload), "no", false, LIVE,
     .help = "Reload about a second after this file has changed, or a file that it names for a password or "
             "for TLS: a ConfigMap or Secret of Kubernetes, for example.",
     .more = "#change-the-configuration"},
    {CONFIG_HAPROXY, "runtime-api", &config_type_runtime_apis, 0, NULL, true, LIVE,
     .help = "Where a HAProxy takes commands (`stats socket ... level admin`). When the master changes, the "
             "agent tells it to cut the sessions to the old one. `master:/run/haproxy-master.sock` is the "
             "socket of HAProxy's master process (`haproxy -W -S`): it also reaches the processes that a "
             "reload of HAProxy has replaced.",
     .example = "/run/haproxy/admin.sock", .more = "failover.md#old-sessions"},
    {CONFIG_HAPROXY, "backend", &config_type_names, offsetof(struct config_haproxy, backends), NULL, true,
     LIVE,
     .help = "HAProxy's backends that lead to masters. Do not list one that leads to replicas: its sessions "
             "would be cut as well.",
     .example = "be_redis", .see = "service.backend"},
    {CONFIG_SENTINELS, "source", &config_type_source, GROUP(source), "sentinel", false, LIVE,
     .help = "Who says who the master is. In `[nodes NAME]`: with `replication` the Redis nodes themselves "
             "(`ROLE`), with `cluster` the nodes of a Redis Cluster (`CLUSTER SLOTS`). In `[sentinels]`: "
             "`sentinel`.",
     .more = "#without-sentinel"},
    {CONFIG_SENTINELS, "address", &config_type_addresses, 0, NULL, true, LIVE,
     .help =
         "One Sentinel. List all of them: the majority is a majority of this list. In `[nodes NAME]`: one "
         "node. Without any: the servers of the services that refer to the group.",
     .example = "10.0.0.11:26379", .more = "#addresses-and-names"},
    {CONFIG_SENTINELS, "username", &config_type_text, GROUP(credentials.username), NULL, false, LIVE,
     .help = "The user for AUTH, where the Sentinels have access lists.", .example = "haproxy",
     .more = "security.md#rights"},
    {CONFIG_SENTINELS, "password", &config_type_password, GROUP(credentials), NULL, false, LIVE,
     .help = "The password for AUTH.", .example = "secret", .more = "security.md#passwords-and-keys"},
    {CONFIG_SENTINELS, "password-file", &config_type_text, GROUP(credentials.password_file), NULL, false,
     LIVE, .help = HELP_PASSWORD_FILE, .example = EXAMPLE_PASSWORD_FILE},
    {CONFIG_SENTINELS, "tls", &config_type_tls, GROUP(tls), "no", false, LIVE,
     .help = "Talk TLS to the Sentinels. Each certificate must be for the host name or the IP address in "
             "`address`.",
     .more = "#tls"},
    {CONFIG_SENTINELS, "tls-ca", &config_type_text, GROUP(tls.ca_file), NULL, false, LIVE,
     .help = HELP_TLS_CA, .example = EXAMPLE_TLS_CA},
    {CONFIG_SENTINELS, "tls-cert", &config_type_text, GROUP(tls.cert_file), NULL, false, LIVE,
     .help = HELP_TLS_CERT, .example = EXAMPLE_TLS_CERT},
    {CONFIG_SENTINELS, "tls-key", &config_type_text, GROUP(tls.key_file), NULL, false, LIVE,
     .help = HELP_TLS_KEY, .example = EXAMPLE_TLS_KEY},
    {CONFIG_SENTINELS, "tls-server-name", &config_type_text, GROUP(tls.server_name), NULL, false, LIVE,
     .help = HELP_TLS_SERVER_NAME, .example = EXAMPLE_TLS_SERVER_NAME},
    {CONFIG_SENTINELS, "poll", &config_type_duration, GROUP(poll_ms), "1s", false, LIVE, .least_ms = 1,
     .help = "How often each Sentinel is asked when nothing happens."},
    {CONFIG_SENTINELS, "reply-timeout", &config_type_duration, GROUP(reply_timeout_ms), "500ms", false, LIVE,
     .least_ms = 1, .help = "A reply that takes longer is no vote."},
    {CONFIG_SENTINELS, "connect-timeout", &config_type_duration, GROUP(connect_timeout_ms), "500ms", false,
     LIVE, .least_ms = 1,
     .help = "The longest time to connect to a Sentinel once its address is known. The look-up of its name "
             "may take twenty times as long, and at most a minute.",
     .more = "#addresses-and-names"},
    {CONFIG_SENTINELS, "vote-life", &config_type_duration, GROUP(vote_life_ms), "2s", false, LIVE,
     .help = "How long a vote counts, from the moment it was asked for. It must be longer than `poll` + "
             "`reply-timeout`, and should be shorter than Sentinel's `down-after-milliseconds`.",
     .more = "failover.md#the-rule"},
    {CONFIG_SENTINELS, "subscribe", &config_type_bool, GROUP(subscribe), "yes", false, LIVE,
     .help = "Subscribe to Sentinel's events, and ask at once when one comes. Without the right to subscribe "
             "the agent polls."},
    {CONFIG_SERVICE, "monitor", &config_type_text, SERVICE(monitor), NULL, false, LIVE,
     .help = "The master's name in Sentinel. Without it: the service's name.", .example = "mymaster"},
    {CONFIG_SERVICE, "sentinels", &config_type_text, SERVICE(sentinels), NULL, false, LIVE,
     .help = "The group `[sentinels NAME]` that monitors this master. Without it: the group without a name.",
     .example = "second"},
    {CONFIG_SERVICE, "nodes", &config_type_text, SERVICE(nodes), NULL, false, LIVE,
     .help = "The group `[nodes NAME]` that says who the master is, in place of Sentinels.",
     .example = "mycache", .more = "#without-sentinel"},
    {CONFIG_SERVICE, "slot", &config_type_slot, SERVICE(slot), NULL, false, LIVE,
     .help = "With `source = cluster`: a slot of the Redis Cluster. The service is the shard that has it.",
     .example = "0", .more = RECIPE("cluster")},
    {CONFIG_SERVICE, "when-alone", &config_type_when_alone, SERVICE(when_alone), "refuse", false, LIVE,
     .help = "With `source = replication`, where fewer nodes than a majority are in reach: `refuse` names "
             "nobody. `name` names a node that says it is the master, if no other node in reach speaks "
             "against it (state `witnessed`). Of two nodes this is the one that is left.",
     .more = RECIPE("active-backup")},
    {CONFIG_SERVICE, "server", &config_type_servers, 0, NULL, true, LIVE,
     .help =
         "A Redis node: its name in HAProxy, and its main address. `role-check` connects to this address, "
         "and HAProxy gets it as `addr` and `port`. `alias=HOST:PORT`, as often as needed: another "
         "address of the same node that a Sentinel or a node may use. `weight=N`: how often it is named "
         "as a replica beside the others (1 unless given; 0: never).",
     .example = "R1 10.0.0.11:6379", .more = "#addresses-and-names"},
    {CONFIG_SERVICE, "quorum", &config_type_count, SERVICE(quorum), NULL, false, LIVE,
     .help = "Votes that a master needs: the majority of the group (the default) or more.", .example = "2",
     .more = "failover.md#the-rule"},
    {CONFIG_SERVICE, "allow-any-address", &config_type_bool, SERVICE(allow_any_address), "no", false, LIVE,
     .help = "Also name an address that no `server` has, by `addr` and `port` only (for `set-dst`). "
             "`role-check` then sends the password to each address that a majority names.",
     .more = RECIPE("any-address")},
    {CONFIG_SERVICE, "backend", &config_type_names, SERVICE(backends), NULL, true, LIVE,
     .help = "HAProxy's backends of this service. Without any: those of `[haproxy]`.", .example = "be_redis",
     .see = "haproxy.backend"},
    {CONFIG_SERVICE, "check-mode", &config_type_check_mode, SERVICE(check_mode), "pulse", false, LIVE,
     .help = "What agent-checks are told. With `pulse` all servers are up, but one that was replaced is down "
             "for `check-pulse`. With `master` only the master is up.",
     .see = "check-pulse check-delay agent.check", .more = RECIPE("agent-check")},
    {CONFIG_SERVICE, "check-pulse", &config_type_duration, SERVICE(check_pulse_ms), "5s", false, LIVE,
     /* HAProxy may need half of this time to ask, with its shortest `agent-inter`. */
     .least_ms = 100,
     .help = "How long a server that was replaced is reported down. Make it longer than twice HAProxy's "
             "`agent-inter`."},
    {CONFIG_SERVICE, "check-delay", &config_type_duration, SERVICE(check_delay_ms), "0", false, LIVE,
     .help = "How long after its replacement a server is reported down. Leave it at 0, except with HAProxy "
             "2.8 to 3.1: there make it longer than HAProxy's `timeout connect`, or clients that are "
             "connecting hang."},
    {CONFIG_SERVICE, "replicas", &config_type_bool, SERVICE(replicas), "no", false, LIVE,
     .help = "Answer `role=replica` as well, with the replicas in turn: servers that a majority of the "
             "Sentinels holds to be up and replicas of the master (`SENTINEL REPLICAS`).",
     .more = RECIPE("read-write-split")},
    {CONFIG_SERVICE, "max-lag", &config_type_lag, SERVICE(max_lag), "0", false, LIVE,
     .help =
         "A replica that is further behind is not named. The master's reply to `ROLE` says how far behind "
         "each one is. Bytes, or a time of at least three times `poll`. 0: no limit."},
    {CONFIG_SERVICE, "replica-fallback", &config_type_replica_fallback, SERVICE(replica_fallback), "none",
     false, LIVE,
     .help = "Where no replica can be named: `none` names nobody (state `no-replica`), `master` names the "
             "master."},
    {CONFIG_SERVICE, "park", &config_type_park, SERVICE(park_ms), "auto", false, LIVE,
     .help = "How long a client waits while no master can be named, before it is refused. Make it shorter "
             "than HAProxy's `timeout processing`. 0: clients are refused at once. `auto` is the time that a "
             "failover takes: the longest `down-after-milliseconds` that a Sentinel told (with `source = "
             "replication` our `down-after`) and 2 s, but 8 s at most. It is 8 s if nobody told it.",
     .example = "6s", .more = "failover.md#parking"},
    {CONFIG_SERVICE, "gone-clients", &config_type_gone_clients, SERVICE(gone_clients), "refuse", false, LIVE,
     .help = "What happens to a client that has closed its end while it waits. With `refuse` HAProxy gets no "
             "name, and what the client had sent is dropped. With `serve` it may be executed later.",
     .more = "failover.md#parking"},
    {CONFIG_SERVICE, "role-check", &config_type_role_check, SERVICE(role_check), "veto", false, LIVE,
     .help = "Ask the node that a majority names for its `ROLE`. With `veto` a node is not named if it says "
             "that it is no master. With `require` a new master is named only once it has said that it is "
             "the master. With `off` nodes are not asked.",
     .more = "failover.md#the-rule"},
    {CONFIG_SERVICE, "username", &config_type_text, SERVICE(credentials.username), NULL, false, LIVE,
     .help = "The user for AUTH at the nodes, where they have access lists.", .example = "haproxy",
     .more = "security.md#rights"},
    {CONFIG_SERVICE, "password", &config_type_password, SERVICE(credentials), NULL, false, LIVE,
     .help = "The password for AUTH at the nodes. Only addresses of `server` lines get it, unless there is "
             "`allow-any-address`.",
     .example = "secret", .more = "security.md#passwords-and-keys"},
    {CONFIG_SERVICE, "password-file", &config_type_text, SERVICE(credentials.password_file), NULL, false,
     LIVE, .help = HELP_PASSWORD_FILE, .example = EXAMPLE_PASSWORD_FILE},
    {CONFIG_SERVICE, "tls", &config_type_tls, SERVICE(tls), "no", false, LIVE,
     .help = "Talk TLS to the nodes. Each certificate must be for the main address of its `server`. Where a "
             "service has none of these keys, nodes that vote get the TLS settings of their group.",
     .more = "#tls"},
    {CONFIG_SERVICE, "tls-ca", &config_type_text, SERVICE(tls.ca_file), NULL, false, LIVE,
     .help = HELP_TLS_CA, .example = EXAMPLE_TLS_CA},
    {CONFIG_SERVICE, "tls-cert", &config_type_text, SERVICE(tls.cert_file), NULL, false, LIVE,
     .help = HELP_TLS_CERT, .example = EXAMPLE_TLS_CERT},
    {CONFIG_SERVICE, "tls-key", &config_type_text, SERVICE(tls.key_file), NULL, false, LIVE,
     .help = HELP_TLS_KEY, .example = EXAMPLE_TLS_KEY},
    {CONFIG_SERVICE, "tls-server-name", &config_type_text, SERVICE(tls.server_name), NULL, false, LIVE,
     .help = HELP_TLS_SERVER_NAME, .example = EXAMPLE_TLS_SERVER_NAME},
    {CONFIG_SERVICE, "debounce", &config_type_duration, SERVICE(debounce_ms), "1s", false, LIVE,
     .help = "A loss of the majority that is shorter is `pending`, not `no-quorum`."},
    {CONFIG_SERVICE, "witness", &config_type_bool, SERVICE(witness), "no", false, LIVE,
     .help = "If too few Sentinels are in reach, believe the others as soon as one of them sees a majority "
             "(`SENTINEL CKQUORUM`). The state is `witnessed`.",
     .more = "failover.md#fences"},
    {CONFIG_SERVICE, "keep", &config_type_duration, SERVICE(keep_ms), "0", false, LIVE,
     .help = "How long the last master is still named when too few Sentinels are in reach (state `kept`). It "
             "is never kept after a disagreement.",
     .see = "keep-when", .more = "failover.md#fences"},
    {CONFIG_SERVICE, "keep-when", &config_type_keep_when, SERVICE(keep_when), "unreachable", false, LIVE,
     .help = "When `keep` holds. `unreachable`: whatever the cause. `refused`: only if all that are missing "
             "refuse connections. Then they are dead, and we are not cut off."},
    {CONFIG_SERVICE, "fence", &config_type_duration, SERVICE(fence_ms), "0", false, LIVE,
     .help = "After this time without a majority, existing sessions are cut as well. 0: never.",
     .more = "failover.md#fences"},
    {CONFIG_SERVICE, "down-after", &config_type_duration, SERVICE(down_after_ms), "0", false, LIVE,
     /* A Sentinel hears a healthy master once a second, and so do replicas at best. It may be a little later. */
     .least_ms = 1500, .takes_zero = true,
     .help = "A master that a majority has not heard for this time is down: new connections wait, and "
             "existing sessions are cut, long before Sentinel's own `down-after-milliseconds`. A healthy "
             "master is heard once a second. With `source = replication` make it longer than Redis' "
             "`repl-ping-replica-period`. 0: never.",
     .example = "3s", .more = "failover.md#fences"},
    {CONFIG_SERVICE, "early-fence", &config_type_bool, SERVICE(early_fence), "no", false, LIVE,
     .help = "When a failover begins, name the old master no more and cut its sessions at once, and not only "
             "when the new one is named.",
     .more = "failover.md#fences"},
    {CONFIG_SERVICE, "early-fence-max", &config_type_duration, SERVICE(early_fence_max_ms), "3s", false, LIVE,
     .least_ms = 1,
     .help = "If the failover comes to nothing, `early-fence` ends after this time. Where `park` is as long, "
             "clients wait and are not refused."},
    {CONFIG_SERVICE, "on-switch", &config_type_text, SERVICE(on_switch), NULL, false, LIVE,
     .help = "A program, with its whole path and its arguments. It is run when another master is named, "
             "without a shell, and one at a time. `sandbox` then does not restrict files.",
     .example = "/usr/local/bin/tell-twemproxy.sh", .more = "#a-program-at-each-switch"},
    {CONFIG_SERVICE, "on-switch-timeout", &config_type_duration, SERVICE(on_switch_timeout_ms), "30s", false,
     LIVE, .least_ms = 1, .help = "After this time the program gets SIGTERM, and 2 s later SIGKILL."},
    {CONFIG_SERVICE, "on-switch-retry", &config_type_duration, SERVICE(on_switch_retry_ms), "1s", false, LIVE,
     .help = "A program that fails is run again after this time, then after twice as long, and so on, five "
             "times. 0: never."},
};

const size_t config_keyword_count = sizeof(config_keywords) / sizeof(*config_keywords);
