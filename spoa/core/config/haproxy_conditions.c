#include "spoa/core/config/haproxy_conditions.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_route.h"
#include "spoa/core/config/haproxy_rules.h"

static const char opening[] = "var(txn.";

/* ---- mentions ---- */

/* What the word says of our variables: `var(txn.PREFIX.master)`. */
static enum haproxy_mention mention_of_word(const struct haproxy_route *route, const char *word)
{
    static const char *const names[] = {"master", "replica", "addr", "port", "state"};
    size_t prefix_len = strlen(route->prefix);

    for (const char *at = strstr(word, opening); at != NULL; at = strstr(at + 1, opening)) {
        const char *full = at + strlen(opening);
        const char *end = full + strcspn(full, "),");
        const char *name = end;
        while (name[-1] != '.') /* `opening` ends with one */
            name--;
        size_t len = (size_t)(end - name);
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
            if (len != strlen(names[i]) || memcmp(name, names[i], len) != 0)
                continue;
            bool is_ours = name == full + prefix_len + 1 && memcmp(full, route->prefix, prefix_len) == 0;
            return is_ours ? HAPROXY_MENTION_OURS : HAPROXY_MENTION_FOREIGN;
        }
    }
    return HAPROXY_MENTION_NONE;
}

static enum haproxy_mention mention_of_line(const struct haproxy_route *route,
                                            const struct haproxy_line *line)
{
    enum haproxy_mention mention = HAPROXY_MENTION_NONE;

    for (size_t i = 0; i < line->count && mention != HAPROXY_MENTION_OURS; i++) {
        enum haproxy_mention one = mention_of_word(route, line->words[i]);
        mention = one != HAPROXY_MENTION_NONE ? one : mention;
    }
    return mention;
}

static enum haproxy_mention mention_of_acl(const struct haproxy_route *route,
                                           const struct haproxy_section *section, const char *name)
{
    enum haproxy_mention mention = HAPROXY_MENTION_NONE;

    for (; section != NULL; section = section->defaults)
        for (size_t i = 0; i < section->count; i++) {
            const struct haproxy_line *line = &section->lines[i];
            if (!haproxy_line_begins(line, "acl") || strcmp(haproxy_word(line, 1), name) != 0)
                continue;
            enum haproxy_mention one = mention_of_line(route, line);
            mention = one != HAPROXY_MENTION_NONE && mention != HAPROXY_MENTION_OURS ? one : mention;
        }
    return mention;
}

enum haproxy_mention haproxy_mentions(const struct haproxy_route *route,
                                      const struct haproxy_section *section, const struct haproxy_line *line)
{
    enum haproxy_mention mention = mention_of_line(route, line);

    for (size_t i = 0; i < line->count && mention != HAPROXY_MENTION_OURS; i++) {
        const char *name = line->words[i] + (line->words[i][0] == '!');
        enum haproxy_mention one = mention_of_acl(route, section, name);
        mention = one != HAPROXY_MENTION_NONE ? one : mention;
    }
    return mention;
}

void haproxy_report_prefix(const struct haproxy_route *route, const struct haproxy_section *section,
                           const struct haproxy_line *line)
{
    char fix[HAPROXY_FIX_MAX];

    (void)snprintf(fix, sizeof(fix), "write `txn.%s.` here, as `option var-prefix` in %s has it",
                   route->prefix, route->agent->path);
    findings_add(
        route->rules->findings, FINDING_VAR_PREFIX, haproxy_place(section, line), section->name, fix,
        "the variables of this engine begin with `txn.%s.`, those in this line do not: it never finds one",
        route->prefix);
}

/* ---- truth ---- */

/* A client whose conditions are looked at. */
struct client {
    const struct haproxy_route *route;
    const struct haproxy_section *section;
    const char *name; /* as for haproxy_applies() */
};

static enum haproxy_truth negate(enum haproxy_truth truth)
{
    return truth == HAPROXY_PERHAPS ? HAPROXY_PERHAPS
           : truth == HAPROXY_NEVER ? HAPROXY_ALWAYS
                                    : HAPROXY_NEVER;
}

/* `-m found`, `-m str A B`: whether the name is one of these. */
static enum haproxy_truth match(const char *name, char *const *words, size_t count)
{
    if (count < 2 || strcmp(words[0], "-m") != 0)
        return HAPROXY_PERHAPS;
    if (strcmp(words[1], "found") == 0)
        return HAPROXY_ALWAYS;
    if (strcmp(words[1], "str") != 0 || count < 3 || words[2][0] == '-' || name[0] == '\0')
        return HAPROXY_PERHAPS;
    for (size_t i = 2; i < count; i++)
        if (strcmp(words[i], name) == 0)
            return HAPROXY_ALWAYS;
    return HAPROXY_NEVER;
}

/* The agent gives `state` to every client, the others only with a name. Of `master` and `replica` it gives the one that was
 * asked for. */
static enum haproxy_truth truth_of_variable(const struct client *client, const char *variable,
                                            char *const *words, size_t count)
{
    const char *wanted = client->route->variable;

    if (strcmp(variable, "state") == 0) {
        bool is_ok = count == 3 && match("ok", words, count) == HAPROXY_ALWAYS;
        return !is_ok ? HAPROXY_PERHAPS : client->name != NULL ? HAPROXY_ALWAYS : HAPROXY_NEVER;
    }
    if (client->name == NULL)
        return HAPROXY_NEVER;
    if (strcmp(variable, wanted) == 0)
        return match(strcmp(wanted, "addr") == 0 ? HAPROXY_ANY_NAME : client->name, words, count);
    if (strcmp(variable, "addr") == 0 || strcmp(variable, "port") == 0)
        return match(HAPROXY_ANY_NAME, words, count);
    return strcmp(wanted, "addr") == 0 ? HAPROXY_PERHAPS : HAPROXY_NEVER;
}

/* `var(txn.PREFIX.NAME) -m found` and the like; the words of an ACL. */
static enum haproxy_truth truth_of_test(const struct client *client, char *const *words, size_t count)
{
    static const char *const variables[] = {"master", "replica", "addr", "port", "state"};
    char expected[CONFIG_NAME_MAX + 64];

    for (size_t i = 0; count > 0 && i < sizeof(variables) / sizeof(*variables); i++) {
        (void)snprintf(expected, sizeof(expected), "%s%.*s.%s)", opening, CONFIG_NAME_MAX,
                       client->route->prefix, variables[i]);
        if (strcmp(words[0], expected) == 0)
            return truth_of_variable(client, variables[i], words + 1, count - 1);
    }
    return HAPROXY_PERHAPS;
}

/* Lines with one name are joined by `or`. */
static enum haproxy_truth truth_of_acl(const struct client *client, const char *name)
{
    enum haproxy_truth truth = HAPROXY_NEVER;
    bool is_known = false;

    for (const struct haproxy_section *section = client->section; section != NULL;
         section = section->defaults)
        for (size_t i = 0; i < section->count; i++) {
            const struct haproxy_line *line = &section->lines[i];
            if (!haproxy_line_begins(line, "acl") || strcmp(haproxy_word(line, 1), name) != 0)
                continue;
            enum haproxy_truth one = truth_of_test(client, line->words + 2, line->count - 2);
            truth = one > truth ? one : truth;
            is_known = true;
        }
    if (is_known)
        return truth;
    return strcmp(name, "TRUE") == 0    ? HAPROXY_ALWAYS
           : strcmp(name, "FALSE") == 0 ? HAPROXY_NEVER
                                        : HAPROXY_PERHAPS;
}

/* The truth of `{ TEST }` or of an ACL's name, which begins with `word` at `*at`. Sets `*at` behind it. */
static enum haproxy_truth take_term(const struct client *client, const struct haproxy_line *line,
                                    const char *word, size_t *at)
{
    size_t begin = ++*at;

    if (strcmp(word, "{") != 0)
        return truth_of_acl(client, word);
    while (*at < line->count && strcmp(line->words[*at], "}") != 0)
        ++*at;
    size_t end = (*at)++;
    return truth_of_test(client, line->words + begin, end - begin);
}

/* The condition from the word `at` on. `or` parts it; what stands side by side is joined by `and`. */
static enum haproxy_truth truth_of_condition(const struct client *client, const struct haproxy_line *line,
                                             size_t at)
{
    enum haproxy_truth any = HAPROXY_NEVER;
    enum haproxy_truth all = HAPROXY_ALWAYS;
    bool is_negated = false;

    while (at < line->count) {
        const char *word = line->words[at];
        if (strcmp(word, "or") == 0 || strcmp(word, "||") == 0) {
            any = all > any ? all : any;
            all = HAPROXY_ALWAYS;
            at++;
            continue;
        }
        for (; *word == '!'; word++)
            is_negated = !is_negated;
        if (*word == '\0') {
            at++;
            continue;
        }
        enum haproxy_truth one = take_term(client, line, word, &at);
        if (is_negated)
            one = negate(one);
        all = one < all ? one : all;
        is_negated = false;
    }
    return all > any ? all : any;
}

enum haproxy_truth haproxy_applies(const struct haproxy_route *route, const struct haproxy_section *section,
                                   const struct haproxy_line *line, const char *name)
{
    const struct client client = {.route = route, .section = section, .name = name};

    for (size_t i = 1; i < line->count; i++) {
        if (strcmp(line->words[i], "if") == 0)
            return truth_of_condition(&client, line, i + 1);
        if (strcmp(line->words[i], "unless") == 0)
            return negate(truth_of_condition(&client, line, i + 1));
    }
    return HAPROXY_ALWAYS;
}
