#include "spoa/core/config/haproxy_words.h"

#include <ctype.h>
#include <string.h>

#include "spoa/core/base/text.h"

/* The longest path of a UNIX socket: HAProxy wants room for a temporary name. */
#define PATH_MAX_LEN 97

/* Adds `text` with a backslash before each of these characters. */
static void add_escaped(struct text *out, const char *text, const char *special)
{
    for (;;) {
        size_t len = strcspn(text, special);
        text_add_bytes(out, text, len);
        text += len;
        if (*text == '\0')
            return;
        text_add_bytes(out, "\\", 1);
        text_add_bytes(out, text++, 1);
    }
}

void haproxy_add_word(struct text *out, const char *word)
{
    add_escaped(out, word, " #\"'\\");
}

void haproxy_add_quoted(struct text *out, const char *part)
{
    add_escaped(out, part, "\"\\$");
}

bool haproxy_is_plain(const char *value)
{
    for (; *value != '\0'; value++)
        if (!isalnum((unsigned char)*value) && strchr("-_.:/", *value) == NULL)
            return false;
    return true;
}

/* Two parsers read it: that of lines, and that of the sample's arguments. */
void haproxy_add_sample(struct text *out, const char *value)
{
    struct text argument = {.data = NULL};

    if (haproxy_is_plain(value)) {
        text_add(&argument, value);
    } else {
        text_add(&argument, "\"");
        add_escaped(&argument, value, "\"\\");
        text_add(&argument, "\"");
    }
    text_add(out, "str(");
    haproxy_add_word(out, argument.data != NULL ? argument.data : "");
    text_add(out, ")");
    out->has_failed |= argument.has_failed;
    text_finish(&argument);
}

/* HAProxy splits addresses at commas, and puts variables of the environment in place of `$NAME`. */
bool haproxy_takes_address(const struct addr *addr)
{
    if (addr->kind == ADDR_UNIX)
        return strpbrk(addr->name, ",$") == NULL && strlen(addr->name) <= PATH_MAX_LEN;
    return addr->port != 0;
}

struct addr haproxy_reaches(const struct addr *addr)
{
    static const uint8_t loopback_ipv4[4] = {127, 0, 0, 1};
    static const uint8_t loopback_ipv6[16] = {[15] = 1};

    if (!addr_is_wildcard(addr))
        return *addr;
    return addr_from_ip(addr->kind == ADDR_IPV4 ? loopback_ipv4 : loopback_ipv6, addr->kind, addr->port);
}

void haproxy_add_address(struct text *out, const struct addr *addr)
{
    struct addr plain = *addr;

    plain.is_absolute = false; /* HAProxy has no search list: every name is whole */
    if (addr->kind == ADDR_UNIX) {
        text_add(out, "unix@");
        haproxy_add_word(out, addr->name);
    } else {
        char text[ADDR_TEXT_MAX];
        text_add(out, addr_format(&plain, text));
    }
}
