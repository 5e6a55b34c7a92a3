/* The table of keywords. The reader, the dump and the documentation share it. */
#ifndef SPOA_CORE_CONFIG_CONFIG_KEYWORDS_H
#define SPOA_CORE_CONFIG_CONFIG_KEYWORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "spoa/core/config/config.h"

enum config_section_kind {
    CONFIG_AGENT,
    CONFIG_HAPROXY,
    CONFIG_SENTINELS,
    CONFIG_SERVICE,
    CONFIG_SECTIONS,
};

struct config_keyword;

enum config_reading {
    CONFIG_READ_OK,
    CONFIG_READ_BAD, /* the value does not have the type's form */
    CONFIG_READ_NO_MEMORY,
};

/* How the values of a keyword are read and written. `field` points into the section's struct. */
struct config_type {
    const char *form; /* "a duration such as 500ms, 3s or 2m" */
    enum config_reading (*read)(void *field, const char *value);
    /* Writes a line "key = value" for each value; nothing if none is set. */
    void (*write)(const void *field, const char *key, FILE *out);
    const char *noun; /* "duration", for the documentation; NULL: the form is short enough */
};

/* How a changed value takes effect. */
enum config_reload {
    CONFIG_RELOAD_LIVE,    /* a running agent can take it over */
    CONFIG_RELOAD_RESTART, /* the agent must be started again */
};

struct config_keyword {
    enum config_section_kind section;
    const char *key;
    const struct config_type *type;
    size_t offset; /* of the field in the section's struct */
    const char *preset;
    bool repeatable;
    enum config_reload reload;
    unsigned least_ms;   /* of a duration: shorter ones are errors */
    bool takes_zero;     /* but 0 is none */
    const char *help;    /* sentences, with what one types in backticks */
    const char *example; /* a value; NULL: the preset says enough */
    const char *see;     /* related keys with blanks between, "park" or "service.park"; NULL: none */
    const char *more;    /* what explains it, as a link in spoa/doc; NULL: nothing */
};

extern const struct config_keyword config_keywords[];
extern const size_t config_keyword_count;

extern const char *const config_section_names[CONFIG_SECTIONS];

/* Writes a value so that a line of a file gives it again: with "$$" for each '$'. */
void config_write_value(const char *value, FILE *out);

/* NULL if the section has no such key. */
const struct config_keyword *config_keyword_find(enum config_section_kind section, const char *key);

/* Whether the section's value is within the keyword's range. */
bool config_keyword_allows(const struct config_keyword *keyword, const void *section);

/* Writes what the range adds to the type's form: ", 100 ms or more", or "". Returns `text`. */
#define CONFIG_RANGE_MAX 64
const char *config_keyword_range(const struct config_keyword *keyword, char text[CONFIG_RANGE_MAX]);

/* The keyword's bit among the keywords of its section, which has at most 64. */
uint64_t config_keyword_bit(const struct config_keyword *keyword);

/* The key of the section that is most like `key`, or NULL if none is similar. */
const char *config_keyword_nearest(enum config_section_kind section, const char *key);

/* The types, named after their values. */
extern const struct config_type config_type_duration;
extern const struct config_type config_type_park; /* an int64_t: ms, or PARK_AUTO */
extern const struct config_type config_type_count;
extern const struct config_type config_type_bool;
extern const struct config_type config_type_text;
extern const struct config_type config_type_tls; /* struct config_tls: whether it is on */
extern const struct config_type config_type_level;
extern const struct config_type config_type_format;
extern const struct config_type config_type_role_check;
extern const struct config_type config_type_keep_when;
extern const struct config_type config_type_check_mode;
extern const struct config_type config_type_gone_clients;
extern const struct config_type config_type_replica_fallback;
extern const struct config_type config_type_lag;
extern const struct config_type config_type_source;
extern const struct config_type config_type_when_alone;
extern const struct config_type config_type_slot;    /* struct config_slot */
extern const struct config_type config_type_listens; /* struct config_listens */
/* Frees what it has. */
void config_listen_finish(struct config_listen *listen);
extern const struct config_type config_type_networks; /* struct config_networks */
/* What is wrong with a bad value of config_type_networks, where the form does not tell; or NULL. */
const char *config_explain_network(const char *value);
/* Likewise of config_type_listens. */
const char *config_explain_listen(const char *value);
extern const struct config_type config_type_names;        /* struct config_names */
extern const struct config_type config_type_runtime_apis; /* struct config_haproxy */
extern const struct config_type config_type_addresses;    /* struct config_voters */
extern const struct config_type config_type_password;     /* struct config_credentials */
extern const struct config_type config_type_servers;      /* struct config_service */

#endif
