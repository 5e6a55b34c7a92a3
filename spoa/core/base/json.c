#include "spoa/core/base/json.h"

#include <assert.h>
#include <stddef.h>

#include "spoa/core/base/text.h"

struct json json_of(struct text *out)
{
    return (struct json){.out = out};
}

static void begin_value(struct json *json, const char *key)
{
    assert((key != NULL) == (json->depth > 0 && json->closers[json->depth - 1] == '}'));
    if (json->wants_comma)
        text_add(json->out, ",");
    json->wants_comma = true;
    if (key == NULL)
        return;
    text_add(json->out, "\"");
    text_add(json->out, key);
    text_add(json->out, "\":");
}

static void begin(struct json *json, const char *key, const char *opener, char closer)
{
    assert(json->depth < JSON_DEPTH_MAX);
    begin_value(json, key);
    text_add(json->out, opener);
    json->closers[json->depth++] = closer;
    json->wants_comma = false;
}

void json_begin_object(struct json *json, const char *key)
{
    begin(json, key, "{", '}');
}

void json_begin_array(struct json *json, const char *key)
{
    begin(json, key, "[", ']');
}

void json_end(struct json *json)
{
    assert(json->depth > 0);
    text_add_bytes(json->out, &json->closers[--json->depth], 1);
    json->wants_comma = true;
}

void json_string(struct json *json, const char *key, const char *text)
{
    if (text == NULL) {
        json_null(json, key);
        return;
    }
    begin_value(json, key);
    text_add(json->out, "\"");
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            text_add(json->out, "\\");
        if ((unsigned char)*text < 0x20)
            text_printf(json->out, "\\u%04x", (unsigned)(unsigned char)*text);
        else
            text_add_bytes(json->out, text, 1);
    }
    text_add(json->out, "\"");
}

void json_number(struct json *json, const char *key, int64_t number)
{
    begin_value(json, key);
    text_printf(json->out, "%lld", (long long)number);
}

void json_bool(struct json *json, const char *key, bool value)
{
    begin_value(json, key);
    text_add(json->out, value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
    begin_value(json, key);
    text_add(json->out, "null");
}
