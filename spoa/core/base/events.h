/*
 * Every event of the log: the one table of their names, levels and meanings. The log's names come from here, and so
 * does the table in spoa/doc/monitoring.md.
 */
#ifndef SPOA_CORE_BASE_EVENTS_H
#define SPOA_CORE_BASE_EVENTS_H

/*
 * name, text, level, weight, when it is logged (Markdown, for the document). The text is stable: operators search for it.
 * Where a line may have another level than the table's, "when" says so. For the weights see enum log_weight.
 */
#define EVENTS_SERVICE(X)                                                                                    \
    X(MASTER_SWITCH, "master-switch", INFO, KEPT,                                                            \
      "another master is named, or the first one: `old`, `new`, `old-server`, `new-server`, `votes`, "       \
      "`quorum`, `generation`; `age-ms` of the oldest vote that counted. `outage-ms`, `waited`, `refused`: " \
      "how long nobody could be served before, and how many clients waited and were refused")                \
    X(OUTAGE_OVER, "outage-over", WARNING, KEPT,                                                             \
      "nobody was named, or clients waited for a doubted master, and that is over. `state` and `reason` "    \
      "when it began, `old-server`, `new-server`, `outage-ms`, `waited`, `longest-wait-ms`, `refused`. "     \
      "`info` if no client was refused")                                                                     \
    X(QUORUM_LOST, "quorum-lost", WARNING, KEPT,                                                             \
      "no majority names a master. `reason` is one of those [below](#reasons)")                              \
    X(ADDRESS_NOT_IN_MAP, "address-not-in-map", WARNING, KEPT,                                               \
      "a majority names `address`, and no `server` has it")                                                  \
    X(STATE_CHANGE, "state-change", WARNING, KEPT,                                                           \
      "any other change of a service's state: `old`, `new`, `reason`, `node`, `votes`. `info` if the new "   \
      "state is `ok`")                                                                                       \
    X(MASTER_DOUBTED, "master-doubted", INFO, COMMON,                                                        \
      "new clients wait, because the agent's own link to the master broke (`reason` `closed`) or two PINGs " \
      "had no answer (`silent`). `state` is what it would be without the doubt")                             \
    X(MASTER_TRUSTED, "master-trusted", INFO, COMMON, "the doubt is over, and the same master is named")     \
    X(PARK, "park", INFO, COMMON,                                                                            \
      "with `park = auto`: clients wait for up to `park-ms` from now on. Until the first such line it is 8 " \
      "s")                                                                                                   \
    X(REPLICAS, "replicas", INFO, COMMON, "`up`: the replicas that can be named now")                        \
    X(CLIENTS_SEEN, "clients-seen", INFO, COMMON,                                                            \
      "the agent sees the clients' connections to HAProxy, so `gone-clients` works for this `role`")         \
    X(CLIENTS_UNSEEN, "clients-unseen", WARNING, COMMON,                                                     \
      "the kernel does not let the agent look at the clients' connections; `reason`")                        \
    X(ALARM, "alarm", WARNING, COMMON,                                                                       \
      "an [alarm](#alarms) is raised: `alarm`, `detail`, `meaning`, and what it is about (`service`, "       \
      "`sentinels` or `api`)")                                                                               \
    X(ALARM_CLEARED, "alarm-cleared", INFO, COMMON, "the alarm is over after `lasted-ms`")

#define EVENTS_SESSIONS(X)                                                                                   \
    X(CUTTING_SESSIONS, "cutting-sessions", INFO, KEPT,                                                      \
      "from now on HAProxy is told to cut the sessions to `server` of `backend`, until it confirms. "        \
      "`cause`: a `switch`, a `fence`, or the agent's `start`")                                              \
    X(SESSIONS_CUT, "sessions-cut", INFO, KEPT,                                                              \
      "the HAProxy at `api` has confirmed: for the first time `first-ms` after the cause, for good `ms` "    \
      "after it")                                                                                            \
    X(RUNTIME_API_FAILED, "runtime-api-failed", WARNING, KEPT,                                               \
      "the HAProxy at `api` did not cut; `reason` is its own words, or why it was not reached. Once, until " \
      "a cut succeeds or fails for another reason")                                                          \
    X(FENCED, "fenced", WARNING, KEPT,                                                                       \
      "sessions to the last master are cut: by `fence`, by `early-fence` (`reason` `failover` or "           \
      "`o-down`), or by `down-after` (`reason` `silent`)")                                                   \
    X(FENCE_ENDED, "fence-ended", INFO, KEPT, "that is over; `state` is the service's state now")

#define EVENTS_VOTERS(X)                                                                                     \
    X(SENTINEL_UP, "sentinel-up", INFO, COMMON,                                                              \
      "a connection to the Sentinel has worked for one `poll`; `myid` is its identity")                      \
    X(SENTINEL_DOWN, "sentinel-down", WARNING, COMMON,                                                       \
      "the connection ended or failed; `reason`, `retry-ms`. Repeated failures are `debug`. If the "         \
      "Sentinel says why it closes the connection, those words are the `reason`, and they are a warning")    \
    X(SENTINEL_AUTH_FAILED, "sentinel-auth-failed", WARNING, COMMON, "it refuses our password; `error`")     \
    X(SENTINEL_WITHOUT_IDENTITY, "sentinel-without-identity", WARNING, COMMON,                               \
      "it does not answer `SENTINEL MYID`, so it has no vote; `reply`")                                      \
    X(SENTINEL_ERROR, "sentinel-error", WARNING, COMMON,                                                     \
      "it refuses to name the master, so it has no vote; `error`")                                           \
    X(SENTINEL_KNOWS_NO_MASTER, "sentinel-knows-no-master", WARNING, COMMON,                                 \
      "it has no master called `monitor`, so it has no vote")                                                \
    X(SENTINEL_BAD_ADDRESS, "sentinel-bad-address", WARNING, COMMON,                                         \
      "it names something that is no address: `host`, `port`")                                               \
    X(SENTINEL_NONSENSE, "sentinel-nonsense", WARNING, COMMON, "its reply is none that a Sentinel gives")    \
    X(SENTINEL_FACTS_REFUSED, "sentinel-facts-refused", WARNING, COMMON,                                     \
      "it refuses `SENTINEL MASTER`; without it `down`, `park = auto`, `down-after` and most alarms lack "   \
      "what it knows")                                                                                       \
    X(SENTINEL_WITNESS_REFUSED, "sentinel-witness-refused", WARNING, COMMON,                                 \
      "it refuses `SENTINEL CKQUORUM`, so it cannot be a `witness`")                                         \
    X(SENTINEL_PEERS_REFUSED, "sentinel-peers-refused", WARNING, COMMON,                                     \
      "it refuses `SENTINEL SENTINELS`, so it cannot be a `witness` beside `down-after`")                    \
    X(SENTINEL_REPLICAS_REFUSED, "sentinel-replicas-refused", WARNING, COMMON,                               \
      "it refuses `SENTINEL REPLICAS`, so it does not count for `replicas` and `unmapped-node`")             \
    X(SAME_SENTINEL, "same-sentinel", WARNING, COMMON,                                                       \
      "`sentinel` and `same-as` have one `myid`: together they have one vote")                               \
    X(HINTS_REFUSED, "hints-refused", INFO, COMMON,                                                          \
      "it refuses SUBSCRIBE: a change is noticed with the next `poll`; `error`")                             \
    X(HINTS_DOWN, "hints-down", WARNING, COMMON,                                                             \
      "the connection for its events ended; `reason`, `retry-ms`. `debug` if the Sentinel does not say why") \
    X(SENTINEL_HINT, "sentinel-hint", DEBUG, COMMON, "an event of a Sentinel: `channel`, `payload`")         \
    X(NODE_UP, "node-up", INFO, COMMON,                                                                      \
      "a connection to a node that votes (`[nodes NAME]`) has worked for one `poll`; `id` is its identity")  \
    X(NODE_DOWN, "node-down", WARNING, COMMON, "as `sentinel-down`, for a node that votes")                  \
    X(NODE_AUTH_FAILED, "node-auth-failed", WARNING, COMMON, "it refuses our password; `reply`")             \
    X(NODE_WITHOUT_IDENTITY, "node-without-identity", WARNING, COMMON,                                       \
      "it has no `run_id` or node ID, so it has no vote; `reply`")                                           \
    X(NODE_WITHOUT_VOTE, "node-without-vote", WARNING, COMMON,                                               \
      "its reply names no master, so it has no vote; `reply` is its error, or why the reply does not count") \
    X(NODE_FACTS_REFUSED, "node-facts-refused", WARNING, COMMON,                                             \
      "it refuses `INFO replication`, so it cannot say that the master is silent (`down-after`); `reply`")   \
    X(NODE_BAD_ADDRESS, "node-bad-address", WARNING, COMMON,                                                 \
      "it names a master by something that is no address, as a `?` in `CLUSTER SLOTS`; `meaning`")           \
    X(ROLE_PROBE_DOWN, "role-probe-down", WARNING, COMMON,                                                   \
      "the agent's own link to the master ended or failed; `node`, `reason`. Levels as `sentinel-down`")     \
    X(ROLE_PROBE_REFUSED, "role-probe-refused", WARNING, COMMON,                                             \
      "the master answers `AUTH`, `PING` or `ROLE` with an error, or with a role that is none: `reason` is " \
      "its own words, `meaning` says what follows")

#define EVENTS_HOOKS(X)                                                                                      \
    X(HOOK_STARTED, "hook-started", INFO, COMMON, "the program of `on-switch` runs; `program`, `pid`")       \
    X(HOOK_ENDED, "hook-ended", WARNING, KEPT,                                                               \
      "it has ended after `ms`: `status` or `signal`, `reason` if it was killed, `retry-ms` if it is run "   \
      "again. `info` if its status is 0")                                                                    \
    X(HOOK_FAILED, "hook-failed", WARNING, KEPT,                                                             \
      "it could not be started; `reason`, `retry-ms` if that is tried again")                                \
    X(HOOK_SUPERSEDED, "hook-superseded", INFO, COMMON,                                                      \
      "a run that was still to come is not needed any more: yet another master is named")                    \
    X(HOOK_OUTPUT, "hook-output", INFO, COMMON,                                                              \
      "`text`: a line that the program prints; `cut-bytes` if it is longer than 500 bytes")                  \
    X(HOOK_OUTPUT_DROPPED, "hook-output-dropped", WARNING, COMMON,                                           \
      "so many `lines` after the first 100 of a run are not logged")

#define EVENTS_AGENT(X)                                                                                      \
    X(STARTING, "starting", INFO, COMMON, "the first line; `configuration` is the file that is used")        \
    X(STARTED, "started", INFO, COMMON, "the agent listens; `services`, `sentinel-groups`")                  \
    X(LISTENING, "listening", INFO, COMMON,                                                                  \
      "`protocol` (`spop`, `agent-check`, `http`, `takeover`) is served at `address`, which has the port "   \
      "that the kernel chose where the file says 0")                                                         \
    X(NOT_LISTENING, "not-listening", INFO, COMMON,                                                          \
      "`protocol` is no longer served at `address`: it is not in the new configuration, or the agent stops") \
    X(STOPPING, "stopping", INFO, COMMON,                                                                    \
      "the agent is about to end; it waits for HAProxy to close `connections`, for up to "                   \
      "`drain-timeout-ms`")                                                                                  \
    X(DRAIN_TIMEOUT, "drain-timeout", WARNING, COMMON,                                                       \
      "`connections` were left when that time was over, and are closed")                                     \
    X(STOPPED, "stopped", INFO, KEPT, "the last line; it has all counters")                                  \
    X(CANNOT_START, "cannot-start", ERROR, COMMON, "the agent exits with 1; `error`")                        \
    X(CANNOT_LISTEN, "cannot-listen", ERROR, COMMON, "the agent exits with 1; `error` names the address")    \
    X(CONFIGURATION_WARNING, "configuration-warning", WARNING, COMMON,                                       \
      "`warning`: something in the file is valid, but not wise. `-t` prints it, too")                        \
    X(CONFIGURATION_ERROR, "configuration-error", ERROR, COMMON, "`error`: a mistake in the new file")       \
    X(FILE_CHANGED, "file-changed", INFO, COMMON, "`autoreload` has seen that `file` changed")               \
    X(RELOADED, "reloaded", INFO, COMMON, "the new configuration is used; `services`, `sentinel-groups`")    \
    X(RELOAD_FAILED, "reload-failed", ERROR, COMMON,                                                         \
      "the new file is not used. The one before stays, or takes over where it has begun to; `error`")        \
    X(RESTART_NEEDED, "restart-needed", WARNING, COMMON,                                                     \
      "`key` has another value in the new file, and only a restart uses it")                                 \
    X(TLS_FAILED, "tls-failed", ERROR, COMMON,                                                               \
      "certificates or keys that were good when the file was checked cannot be read; `error`")               \
    X(TAKEN_OVER, "taken-over", INFO, COMMON,                                                                \
      "another agent, `process`, accepts in our place and gets these `connections`")                         \
    X(TOOK_OVER, "took-over", INFO, COMMON,                                                                  \
      "the agent before us, `process`, has given us these `connections` and ends")                           \
    X(TAKEOVER_REFUSED, "takeover-refused", WARNING, COMMON, "our listeners are not given; `reason`")        \
    X(SANDBOX, "sandbox", INFO, COMMON,                                                                      \
      "`files`: which ones the agent may use. `its own`, with the version of `landlock`; or `all`, with "    \
      "the `reason`")                                                                                        \
    X(FEW_DESCRIPTORS, "few-descriptors", WARNING, COMMON,                                                   \
      "the `limit` of open files allows only `possible` of `max-connections`")                               \
    X(SOCKET_UNUSED, "socket-unused", WARNING, COMMON,                                                       \
      "the service manager gave a socket at `address` that no `listen`, `check` or `http` has. It is "       \
      "closed: to use it later, restart the agent")                                                          \
    X(ACCEPT_FAILED, "accept-failed", ERROR, COMMON,                                                         \
      "`protocol`: out of descriptors or memory. The agent tries again every 0.1 s; `error`")                \
    X(ACCEPTING_AGAIN, "accepting-again", INFO, COMMON, "that is over")                                      \
    X(CONNECTION_REFUSED, "connection-refused", WARNING, COMMON,                                             \
      "a connection is closed at once; `protocol` and `reason`: `peer` is not in `allow`, or "               \
      "`max-connections` are there")                                                                         \
    X(SPOP_TLS_FAILED, "spop-tls-failed", WARNING, COMMON,                                                   \
      "a connection is closed: `peer` speaks no TLS, does not trust our certificate, or shows none that we " \
      "trust; `reason`")                                                                                     \
    X(SPOP_ERROR, "spop-error", WARNING, COMMON,                                                             \
      "a peer broke the protocol and its connection is closed; `status`, `error`")                           \
    X(SPOP_MEMORY_LIMIT, "spop-memory-limit", WARNING, COMMON,                                               \
      "buffers would hold more than 16 MiB: the connection that holds the most is closed")                   \
    X(SPOP_CLOSED, "spop-closed", DEBUG, COMMON, "HAProxy closed a connection; `reason`")                    \
    X(CHECK_UNKNOWN, "check-unknown", DEBUG, COMMON,                                                         \
      "an agent-check asks for a service or a server that is not known; `question`")                         \
    X(SYSLOG, "syslog", INFO, COMMON, "the syslog socket is there, and the log goes to it; `path`")          \
    X(NO_SYSLOG, "no-syslog", WARNING, COMMON,                                                               \
      "the syslog socket is not there, and the log goes to stderr; `path`, `error`")                         \
    X(LINES_SUPPRESSED, "lines-suppressed", WARNING, COMMON,                                                 \
      "so many `lines` of one event (`of`) about one service, Sentinel, server or alarm were held back")     \
    X(LINES_LOST, "lines-lost", WARNING, COMMON, "so many `lines` were lost: nobody read the log fast enough")

#define EVENTS(X)                                                                                            \
    EVENTS_SERVICE(X)                                                                                        \
    EVENTS_SESSIONS(X)                                                                                       \
    EVENTS_VOTERS(X)                                                                                         \
    EVENTS_HOOKS(X)                                                                                          \
    EVENTS_AGENT(X)

enum log_event_kind {
#define X(name, text, level, weight, when) EVENT_##name,
    EVENTS(X)
#undef X
};

#endif
