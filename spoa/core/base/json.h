/*
 * JSON, written value by value into a text. The writer sets commas and quotes.
 *
 *     struct json json = json_of(&text);
 *     json_begin_object(&json, NULL);
 *     json_string(&json, "state", "ok");
 *     json_begin_array(&json, "votes");
 *     json_number(&json, NULL, 3);
 *     json_end(&json);
 *     json_end(&json);                       {"state":"ok","votes":[3]}
 *
 * `key` is the name of a value in an object; it is not escaped. It is NULL in an array and for the outermost
 * value.
 */
#ifndef SPOA_CORE_BASE_JSON_H
#define SPOA_CORE_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

struct text;

#define JSON_DEPTH_MAX 8

struct json {
    struct text *out; /* borrowed; its `has_failed` says whether memory was short */
    bool wants_comma; /* a comma must be written before the next value */
    unsigned depth;   /* how many objects and arrays are open */
    char closers[JSON_DEPTH_MAX];
};

struct json json_of(struct text *out);

void json_begin_object(struct json *json, const char *key);
void json_begin_array(struct json *json, const char *key);

/* Closes the object or array that was begun last. */
void json_end(struct json *json);

/* Escapes control characters, quotes and backslashes. A NULL text is written as null. */
void json_string(struct json *json, const char *key, const char *text);
void json_number(struct json *json, const char *key, int64_t number);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

#endif
