#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/log.h"
#include "spoa/core/config/config_keywords.h"
#include "spoa/core/decision/choices.h"
#include "spoa/core/haproxy/check_mode.h"
#include "spoa/core/voters/voter_source.h"

/* A day is the limit of durations: long enough for everything, and far from overflow. */
#define LONGEST_MS (24u * 60 * 60 * 1000)

/* Reads a decimal number at the front of `text`. False if there is none or it is over `max`. */
static bool read_number(const char *text, unsigned max, unsigned *ret_number, const char **ret_rest)
{
    struct span cursor = span_of_text(text);
    uint64_t number;

    if (!span_take_number(&cursor, max, &number))
        return false;
    *ret_number = (unsigned)number;
    *ret_rest = (const char *)cursor.data;
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

    if (!read_number(value, LONGEST_MS, &number, &unit))
        return CONFIG_READ_BAD;
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (strcmp(unit, units[i].unit) == 0 && number <= LONGEST_MS / units[i].ms) {
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

static enum config_reading read_park(void *field, const char *value)
{
    int64_t *park_ms = field;
    unsigned ms;

    if (strcmp(value, "auto") == 0) {
        *park_ms = PARK_AUTO;
        return CONFIG_READ_OK;
    }
    enum config_reading reading = read_duration(&ms, value);
    if (reading == CONFIG_READ_OK)
        *park_ms = ms;
    return reading;
}

static void write_park(const void *field, const char *key, FILE *out)
{
    const int64_t *park_ms = field;

    if (*park_ms == PARK_AUTO)
        fprintf(out, "%s = auto\n", key);
    else
        fprintf(out, "%s = %lldms\n", key, (long long)*park_ms);
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

void config_write_value(const char *value, FILE *out)
{
    for (; *value != '\0'; value++) {
        fputc(*value, out);
        if (*value == '$')
            fputc('$', out);
    }
}

static void write_text(const void *field, const char *key, FILE *out)
{
    char *const *text = field;

    if (*text == NULL)
        return;
    fprintf(out, "%s = ", key);
    config_write_value(*text, out);
    fputc('\n', out);
}

static enum config_reading read_tls(void *field, const char *value)
{
    struct config_tls *tls = field;

    return read_bool(&tls->is_on, value);
}

/* Nothing for a service that has the settings of its group: `no` would be other settings. */
static void write_tls(const void *field, const char *key, FILE *out)
{
    const struct config_tls *tls = field;

    if (!tls->is_inherited)
        write_bool(&tls->is_on, key, out);
}

static enum config_reading read_password(void *field, const char *value)
{
    struct config_credentials *credentials = field;

    return read_text(&credentials->password, value);
}

/* The password is never shown. If it came from a file, only the key `password-file` is written. */
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

/* Reads one of a few words. The index of the word is the value of the enumeration, which must have the
 * size of an int. */
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

/* Defines the two functions of a type whose values are words. */
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
WORDS_TYPE(check_mode, enum check_mode, "pulse", "master")
WORDS_TYPE(gone_clients, enum gone_clients, "refuse", "serve")
WORDS_TYPE(replica_fallback, enum replica_fallback, "none", "master")
WORDS_TYPE(source, enum voter_source, "sentinel", "replication", "cluster")
WORDS_TYPE(when_alone, enum when_alone, "refuse", "name")

static enum config_reading read_slot(void *field, const char *value)
{
    struct config_slot *slot = field;
    const char *unit;

    if (!read_number(value, CONFIG_SLOTS - 1, &slot->number, &unit) || unit[0] != '\0')
        return CONFIG_READ_BAD;
    slot->is_given = true;
    return CONFIG_READ_OK;
}

static void write_slot(const void *field, const char *key, FILE *out)
{
    const struct config_slot *slot = field;

    if (slot->is_given)
        fprintf(out, "%s = %u\n", key, slot->number);
}

/* Reads bytes with a unit of bytes, or a duration. A plain 0 is no limit. */
static enum config_reading read_lag(void *field, const char *value)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"b", 0}, {"kb", 10}, {"mb", 20}, {"gb", 30}};
    struct lag_limit *lag = field;
    unsigned number;
    unsigned ms;
    const char *unit;

    if (!read_number(value, UINT_MAX, &number, &unit))
        return CONFIG_READ_BAD;
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (strcmp(unit, units[i].unit) == 0) {
            *lag = (struct lag_limit){.unit = LAG_BYTES, .amount = (int64_t)number << units[i].shift};
            return CONFIG_READ_OK;
        }
    if (number == 0) {
        *lag = (struct lag_limit){.unit = LAG_UNLIMITED};
        return CONFIG_READ_OK;
    }
    if (unit[0] == '\0' || read_duration(&ms, value) != CONFIG_READ_OK)
        return CONFIG_READ_BAD;
    *lag = (struct lag_limit){.unit = LAG_MS, .amount = ms};
    return CONFIG_READ_OK;
}

static void write_lag(const void *field, const char *key, FILE *out)
{
    static const char *const units[] = {[LAG_UNLIMITED] = "", [LAG_BYTES] = "b", [LAG_MS] = "ms"};
    const struct lag_limit *lag = field;

    fprintf(out, "%s = %lld%s\n", key, (long long)lag->amount, units[lag->unit]);
}

const struct config_type config_type_duration = {"a duration such as 500ms, 3s or 2m", read_duration,
                                                 write_duration, "duration"};
const struct config_type config_type_park = {"auto, or a duration such as 500ms or 3s", read_park, write_park,
                                             "auto, or a duration"};
const struct config_type config_type_count = {"a number, 1 or more", read_count, write_count,
                                              "number, 1 or more"};
const struct config_type config_type_bool = {"yes or no", read_bool, write_bool, NULL};
const struct config_type config_type_tls = {"yes or no", read_tls, write_tls, NULL};
const struct config_type config_type_text = {"a text", read_text, write_text, "text"};
const struct config_type config_type_password = {"a text", read_password, write_password, "text"};
const struct config_type config_type_level = {"error, warning, info or debug", read_level, write_level, NULL};
const struct config_type config_type_format = {"logfmt or json", read_format, write_format, NULL};
const struct config_type config_type_role_check = {"off, veto or require", read_role_check, write_role_check,
                                                   NULL};
const struct config_type config_type_keep_when = {"unreachable or refused", read_keep_when, write_keep_when,
                                                  NULL};
const struct config_type config_type_check_mode = {"pulse or master", read_check_mode, write_check_mode,
                                                   NULL};
const struct config_type config_type_gone_clients = {"refuse or serve", read_gone_clients, write_gone_clients,
                                                     NULL};
const struct config_type config_type_replica_fallback = {"none or master", read_replica_fallback,
                                                         write_replica_fallback, NULL};
const struct config_type config_type_source = {"sentinel, replication or cluster", read_source, write_source,
                                               NULL};
const struct config_type config_type_when_alone = {"refuse or name", read_when_alone, write_when_alone, NULL};
const struct config_type config_type_slot = {"a number, 0 to 16383", read_slot, write_slot,
                                             "number, 0 to 16383"};
const struct config_type config_type_lag = {"bytes such as 512kb or 10mb, a duration such as 5s, or 0",
                                            read_lag, write_lag, NULL};
