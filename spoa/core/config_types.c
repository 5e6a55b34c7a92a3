#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/config_keywords.h"

#define LISTEN_MODE_MAX 0777

/* A decimal number at the front of `text`; false where there is none or it is over `max`. */
static bool read_number(const char *text, unsigned max, unsigned *ret_number, const char **ret_rest)
{
    char *rest;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    unsigned long number = strtoul(text, &rest, 10);
    if (errno != 0 || number > max)
        return false;
    *ret_number = (unsigned)number;
    *ret_rest = rest;
    return true;
}

static enum config_reading read_duration(void *field, const char *value)
{
    static const struct {
        const char *unit;
        unsigned ms;
    } units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};
    unsigned *ms = field;
    unsigned number;
    const char *unit;

    /* A day is long enough for everything, and far from overflow. */
    if (!read_number(value, 24u * 60 * 60 * 1000, &number, &unit))
        return CONFIG_READ_BAD;
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (strcmp(unit, units[i].unit) == 0 && number <= 24u * 60 * 60 * 1000 / units[i].ms) {
            *ms = number * units[i].ms;
            return CONFIG_READ_OK;
        }
    return CONFIG_READ_BAD;
}

static void write_duration(const void *field, const char *key, FILE *out)
{
    const unsigned *ms = field;

    fprintf(out, "%s = %ums\n", key, *ms);
}

static enum config_reading read_count(void *field, const char *value)
{
    unsigned *count = field;
    unsigned number;
    const char *rest;

    if (!read_number(value, INT_MAX, &number, &rest) || *rest != '\0' || number == 0)
        return CONFIG_READ_BAD;
    *count = number;
    return CONFIG_READ_OK;
}

static void write_count(const void *field, const char *key, FILE *out)
{
    const unsigned *count = field;

    fprintf(out, "%s = %u\n", key, *count);
}

static enum config_reading read_bool(void *field, const char *value)
{
    bool *flag = field;
    bool is_yes = strcmp(value, "yes") == 0;

    if (!is_yes && strcmp(value, "no") != 0)
        return CONFIG_READ_BAD;
    *flag = is_yes;
    return CONFIG_READ_OK;
}

static void write_bool(const void *field, const char *key, FILE *out)
{
    const bool *flag = field;

    fprintf(out, "%s = %s\n", key, *flag ? "yes" : "no");
}

static enum config_reading read_text(void *field, const char *value)
{
    char **text = field;

    if (value[0] == '\0')
        return CONFIG_READ_BAD;
    char *copy = strdup(value);
    if (copy == NULL)
        return CONFIG_READ_NO_MEMORY;
    free(*text);
    *text = copy;
    return CONFIG_READ_OK;
}

static void write_text(const void *field, const char *key, FILE *out)
{
    char *const *text = field;

    if (*text != NULL)
        fprintf(out, "%s = %s\n", key, *text);
}

static enum config_reading read_password(void *field, const char *value)
{
    struct config_credentials *credentials = field;

    return read_text(&credentials->password, value);
}

/* Never shown; one that came from a file is that key's. */
static void write_password(const void *field, const char *key, FILE *out)
{
    const struct config_credentials *credentials = field;

    if (credentials->password != NULL && credentials->password_file == NULL)
        fprintf(out, "%s = ***\n", key);
}

static enum config_reading read_level(void *field, const char *value)
{
    enum log_level *level = field;

    for (enum log_level i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
        if (strcmp(value, log_level_text(i)) == 0) {
            *level = i;
            return CONFIG_READ_OK;
        }
    return CONFIG_READ_BAD;
}

static void write_level(const void *field, const char *key, FILE *out)
{
    const enum log_level *level = field;

    fprintf(out, "%s = %s\n", key, log_level_text(*level));
}

/* One of a few words; its place among them is the value. Enumerations have the size of an int. */
static enum config_reading read_word(void *field, const char *value, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(value, words[i]) == 0) {
            int number = (int)i;
            memcpy(field, &number, sizeof(number));
            return CONFIG_READ_OK;
        }
    return CONFIG_READ_BAD;
}

static void write_word(const void *field, const char *key, const char *const *words, FILE *out)
{
    int number;

    memcpy(&number, field, sizeof(number));
    fprintf(out, "%s = %s\n", key, words[number]);
}

/* The two functions of a type whose values are words. */
#define WORDS_TYPE(name, type, ...)                                                                          \
    static const char *const name##_words[] = {__VA_ARGS__};                                                 \
    _Static_assert(sizeof(type) == sizeof(int), "see read_word()");                                          \
    static enum config_reading read_##name(void *field, const char *value)                                   \
    {                                                                                                        \
        return read_word(field, value, name##_words, sizeof(name##_words) / sizeof(*name##_words));          \
    }                                                                                                        \
    static void write_##name(const void *field, const char *key, FILE *out)                                  \
    {                                                                                                        \
        write_word(field, key, name##_words, out);                                                           \
    }

WORDS_TYPE(format, enum log_format, "logfmt", "json")
WORDS_TYPE(role_check, enum role_check, "off", "veto", "require")
WORDS_TYPE(keep_when, enum keep_when, "unreachable", "refused")

/* Room for one more element at the end of a list; NULL where memory is short. */
static void *grow(void **list, size_t *count, size_t size)
{
    char *larger = realloc(*list, (*count + 1) * size);

    if (larger == NULL)
        return NULL;
    *list = larger;
    void *element = larger + *count * size;
    memset(element, 0, size);
    (*count)++;
    return element;
}

/* The next word of `*cursor`, ended by blanks; empty at the end. */
static struct span next_word(const char **cursor)
{
    const char *start = *cursor + strspn(*cursor, " \t");
    size_t len = strcspn(start, " \t");

    *cursor = start + len;
    return span_of(start, len);
}

/* A listener's port may be 0, which addr_parse() refuses because nobody can connect to it. */
static bool read_listen_addr(struct span text, struct addr *addr)
{
    char copy[ADDR_TEXT_MAX];
    bool is_path = text.len >= 5 && memcmp(text.data, "unix:", 5) == 0; /* ":0" may end one */
    bool asks_kernel = !is_path && text.len > 2 && memcmp(text.data + text.len - 2, ":0", 2) == 0;

    if (!asks_kernel)
        return addr_parse(text, addr) && addr->kind != ADDR_NAME;
    if (text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len - 1] = '1';
    bool is_good = addr_parse(span_of(copy, text.len), addr);
    addr->port = 0;
    return is_good && (addr->kind == ADDR_IPV4 || addr->kind == ADDR_IPV6);
}

static bool read_account(struct span word, const char *key, char account[CONFIG_ACCOUNT_MAX])
{
    size_t prefix = strlen(key);

    if (word.len <= prefix || memcmp(word.data, key, prefix) != 0 || word.len - prefix >= CONFIG_ACCOUNT_MAX)
        return false;
    memcpy(account, word.data + prefix, word.len - prefix);
    account[word.len - prefix] = '\0';
    return true;
}

static bool read_mode(struct span word, int *mode)
{
    char text[CONFIG_ACCOUNT_MAX];
    char *rest;

    if (!read_account(word, "mode=", text))
        return false;
    unsigned long bits = strtoul(text, &rest, 8);
    if (*rest != '\0' || bits > LISTEN_MODE_MAX)
        return false;
    *mode = (int)bits;
    return true;
}

static enum config_reading read_listens(void *field, const char *value)
{
    struct config_agent *agent = field;
    struct config_listen listen = {.mode = -1};

    if (!read_listen_addr(next_word(&value), &listen.addr))
        return CONFIG_READ_BAD;
    for (struct span word = next_word(&value); word.len > 0; word = next_word(&value))
        if (listen.addr.kind != ADDR_UNIX ||
            !(read_mode(word, &listen.mode) || read_account(word, "owner=", listen.owner) ||
              read_account(word, "group=", listen.group)))
            return CONFIG_READ_BAD;
    void *list = agent->listens;
    struct config_listen *place = grow(&list, &agent->listen_count, sizeof(*place));
    agent->listens = list;
    if (place == NULL)
        return CONFIG_READ_NO_MEMORY;
    *place = listen;
    return CONFIG_READ_OK;
}

static void write_listens(const void *field, const char *key, FILE *out)
{
    const struct config_agent *agent = field;
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < agent->listen_count; i++) {
        const struct config_listen *listen = &agent->listens[i];
        fprintf(out, "%s = %s", key, addr_format(&listen->addr, text));
        if (listen->mode != -1)
            fprintf(out, " mode=%o", (unsigned)listen->mode);
        if (listen->owner[0] != '\0')
            fprintf(out, " owner=%s", listen->owner);
        if (listen->group[0] != '\0')
            fprintf(out, " group=%s", listen->group);
        fputc('\n', out);
    }
}

static enum config_reading append_addr(struct addr **addresses, size_t *count, const struct addr *addr)
{
    void *list = *addresses;
    struct addr *place = grow(&list, count, sizeof(*place));

    *addresses = list;
    if (place == NULL)
        return CONFIG_READ_NO_MEMORY;
    *place = *addr;
    return CONFIG_READ_OK;
}

static enum config_reading read_addresses(void *field, const char *value)
{
    struct config_sentinels *group = field;
    struct addr addr;

    if (!addr_parse(span_of_text(value), &addr))
        return CONFIG_READ_BAD;
    return append_addr(&group->addresses, &group->address_count, &addr);
}

/* A path may go without "unix:", as HAProxy has it. */
static enum config_reading read_runtime_apis(void *field, const char *value)
{
    struct config_haproxy *haproxy = field;
    char text[ADDR_TEXT_MAX];
    struct addr addr;

    if (snprintf(text, sizeof(text), "%s%s", value[0] == '/' ? "unix:" : "", value) >= (int)sizeof(text) ||
        !addr_parse(span_of_text(text), &addr) || addr.kind == ADDR_NAME)
        return CONFIG_READ_BAD;
    return append_addr(&haproxy->runtime_apis, &haproxy->runtime_api_count, &addr);
}

static void write_runtime_apis(const void *field, const char *key, FILE *out)
{
    const struct config_haproxy *haproxy = field;
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < haproxy->runtime_api_count; i++)
        fprintf(out, "%s = %s\n", key, addr_format(&haproxy->runtime_apis[i], text));
}

static void write_addresses(const void *field, const char *key, FILE *out)
{
    const struct config_sentinels *group = field;
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < group->address_count; i++)
        fprintf(out, "%s = %s\n", key, addr_format(&group->addresses[i], text));
}

static enum config_reading read_servers(void *field, const char *value)
{
    struct config_service *service = field;
    struct addr addr;
    struct span name = next_word(&value);
    struct span where = next_word(&value);

    if (name.len == 0 || next_word(&value).len > 0 || !addr_parse(where, &addr))
        return CONFIG_READ_BAD;
    char *copy = strndup((const char *)name.data, name.len);
    void *list = service->servers;
    struct config_server *place = copy != NULL ? grow(&list, &service->server_count, sizeof(*place)) : NULL;
    service->servers = list;
    if (place == NULL) {
        free(copy);
        return CONFIG_READ_NO_MEMORY;
    }
    *place = (struct config_server){.name = copy, .addr = addr};
    return CONFIG_READ_OK;
}

static void write_servers(const void *field, const char *key, FILE *out)
{
    const struct config_service *service = field;
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < service->server_count; i++)
        fprintf(out, "%s = %s %s\n", key, service->servers[i].name,
                addr_format(&service->servers[i].addr, text));
}

const struct config_type config_type_duration = {"a duration such as 500ms, 3s or 2m", read_duration,
                                                 write_duration};
const struct config_type config_type_count = {"a number, 1 or more", read_count, write_count};
const struct config_type config_type_bool = {"yes or no", read_bool, write_bool};
const struct config_type config_type_text = {"a text", read_text, write_text};
const struct config_type config_type_password = {"a text", read_password, write_password};
const struct config_type config_type_level = {"error, warning, info or debug", read_level, write_level};
const struct config_type config_type_format = {"logfmt or json", read_format, write_format};
const struct config_type config_type_role_check = {"off, veto or require", read_role_check, write_role_check};
const struct config_type config_type_keep_when = {"unreachable or refused", read_keep_when, write_keep_when};
const struct config_type config_type_listens = {
    "IP:PORT, [IPv6]:PORT or unix:/path with mode=, owner= and group=", read_listens, write_listens};
const struct config_type config_type_addresses = {"HOST:PORT, [IPv6]:PORT or unix:/path", read_addresses,
                                                  write_addresses};
const struct config_type config_type_runtime_apis = {"/path, unix:/path, IP:PORT or [IPv6]:PORT",
                                                     read_runtime_apis, write_runtime_apis};
const struct config_type config_type_servers = {"NAME HOST:PORT", read_servers, write_servers};
