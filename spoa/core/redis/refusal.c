#include "spoa/core/redis/refusal.h"

#include <ctype.h>

/* How the error begins, in whatever case. Redis has no code of its own for some of them, and wrote others in
 * another case before version 7. */
static const struct {
    const char *words;
    enum refusal refusal;
} beginnings[] = {
    {"NOAUTH", REFUSAL_PASSWORD},
    {"WRONGPASS", REFUSAL_PASSWORD},
    {"ERR invalid password", REFUSAL_PASSWORD},
    {"NOPERM", REFUSAL_RIGHT},
    {"ERR unknown command", REFUSAL_COMMAND},
    {"ERR unknown subcommand", REFUSAL_COMMAND},
    {"ERR unknown sentinel subcommand", REFUSAL_COMMAND},
    {"DENIED", REFUSAL_PROTECTED},
    {"ERR max number of clients", REFUSAL_FULL},
    {"LOADING", REFUSAL_LOADING},
    {"MASTERDOWN", REFUSAL_MASTER_DOWN},
    {"BUSY", REFUSAL_BUSY},
    {"NOREPLICAS", REFUSAL_NO_REPLICAS},
};

/* Whether the text begins with these words. The last of them must end there, too: BUSY is not BUSYKEY. */
static bool begins_with(struct span text, const char *words)
{
    size_t len = strlen(words);

    if (text.len < len || (text.len > len && isalnum(text.data[len])))
        return false;
    for (size_t i = 0; i < len; i++)
        if (tolower(text.data[i]) != tolower((unsigned char)words[i]))
            return false;
    return true;
}

enum refusal refusal_of_words(struct span words)
{
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++)
        if (begins_with(words, beginnings[i].words))
            return beginnings[i].refusal;
    return REFUSAL_OTHER;
}

enum refusal refusal_of(const struct reply *reply)
{
    return reply->kind == REPLY_ERROR ? refusal_of_words(reply->text) : REFUSAL_NONE;
}

const char *refusal_meaning(enum refusal refusal)
{
    static const char *const meanings[REFUSALS] = {
        [REFUSAL_NONE] = "",
        [REFUSAL_PASSWORD] = "the password is missing or wrong",
        [REFUSAL_RIGHT] = "the user that we log in as lacks a right",
        [REFUSAL_COMMAND] = "it does not know the command",
        [REFUSAL_PROTECTED] = "in protected mode it talks to its own host only, until it has a password",
        [REFUSAL_FULL] = "it has as many clients as its 'maxclients' allows",
        [REFUSAL_LOADING] = "it loads its data, and serves no client until that is done",
        [REFUSAL_MASTER_DOWN] = "it is a replica that has lost its master, and serves no client",
        [REFUSAL_BUSY] = "a script or a module blocks it; its role cannot be asked until that ends",
        [REFUSAL_NO_REPLICAS] = "too few replicas follow it (min-replicas-to-write), so it takes no writes",
        [REFUSAL_OTHER] = "the agent does not know this error",
    };

    return meanings[refusal];
}

bool refusal_closes(enum refusal refusal)
{
    return refusal == REFUSAL_PROTECTED || refusal == REFUSAL_FULL;
}
