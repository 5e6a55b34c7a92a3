/* For the rules over HAProxy's files: what the condition of a line says of the variables that the agent sets. Private to
 * them. */
#ifndef SPOA_CORE_CONFIG_HAPROXY_CONDITIONS_H
#define SPOA_CORE_CONFIG_HAPROXY_CONDITIONS_H

struct haproxy_line;
struct haproxy_route;
struct haproxy_section;

/* What a line says of our variables. */
enum haproxy_mention {
    HAPROXY_MENTION_NONE,
    HAPROXY_MENTION_OURS,
    HAPROXY_MENTION_FOREIGN, /* a variable that has the name of one of ours, with another prefix */
};

/* Of all conditions of the line, and of the ACLs that they name. */
enum haproxy_mention haproxy_mentions(const struct haproxy_route *route,
                                      const struct haproxy_section *section, const struct haproxy_line *line);

/* Reports that the line has another prefix than the engine. */
void haproxy_report_prefix(const struct haproxy_route *route, const struct haproxy_section *section,
                           const struct haproxy_line *line);

/* In this order, so that the lesser one is `and`, and the greater one `or`. */
enum haproxy_truth { HAPROXY_NEVER, HAPROXY_PERHAPS, HAPROXY_ALWAYS };

/* A name that is given, whichever it is. */
#define HAPROXY_ANY_NAME ""

/*
 * Whether the rule in this line applies to a client for whom the agent gave `name`: that of a server, HAPROXY_ANY_NAME, or
 * NULL for a client without a name. What depends on something else is HAPROXY_PERHAPS. A line without a condition always
 * applies.
 */
enum haproxy_truth haproxy_applies(const struct haproxy_route *route, const struct haproxy_section *section,
                                   const struct haproxy_line *line, const char *name);

#endif
