#include "spoa/core/base/log_format.h"

#include <assert.h>

/* Room that is kept free for `"suppressed":18446744073709551615,"cut":true}` and the newline. */
#define TRAILER_MAX 64

static void put_text(struct sink *sink, const char *text)
{
    sink_put(sink, text, strlen(text));
}

static void put_unsigned(struct sink *sink, uint64_t number)
{
    uint8_t digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    sink_put(sink, digits + at, sizeof(digits) - at);
}

static void put_signed(struct sink *sink, int64_t number)
{
    if (number < 0)
        sink_put_byte(sink, '-');
    /* Negated as unsigned: INT64_MIN has no positive counterpart. */
    put_unsigned(sink, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Whether `second` may follow `lead` (RFC 3629 section 4). Excludes overlong forms, surrogates and
 * everything beyond U+10FFFF. */
static bool is_second_byte(uint8_t lead, uint8_t second)
{
    switch (lead) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF;
    case 0xED:
        return second >= 0x80 && second <= 0x9F;
    case 0xF0:
        return second >= 0x90 && second <= 0xBF;
    case 0xF4:
        return second >= 0x80 && second <= 0x8F;
    default:
        return is_continuation(second);
    }
}

/* The length of the UTF-8 character at the start of `text`; 0 if there is none. `text` is not empty. */
static size_t character_length(struct span text)
{
    uint8_t lead = text.data[0];
    size_t len = 4;

    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    if (lead < 0xF0)
        len = lead < 0xE0 ? 2 : 3;
    if (text.len < len || !is_second_byte(lead, text.data[1]))
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!is_continuation(text.data[i]))
            return 0;
    return len;
}

static bool is_control(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7F;
}

static void put_escaped_byte(struct sink *sink, enum log_format format, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";

    switch (byte) {
    case '\n':
        put_text(sink, "\\n");
        return;
    case '\r':
        put_text(sink, "\\r");
        return;
    case '\t':
        put_text(sink, "\\t");
        return;
    case '"':
    case '\\':
        sink_put_byte(sink, '\\');
        sink_put_byte(sink, byte);
        return;
    default:
        put_text(sink, format == LOG_FORMAT_JSON ? "\\u00" : "\\x");
        sink_put_byte(sink, (uint8_t)hex[byte >> 4]);
        sink_put_byte(sink, (uint8_t)hex[byte & 0x0F]);
    }
}

static struct span drop_front(struct span text, size_t len)
{
    return span_of(text.data + len, text.len - len);
}

static void put_quoted(struct sink *sink, enum log_format format, struct span text, bool is_cut)
{
    sink_put_byte(sink, '"');
    while (text.len > 0) {
        size_t len = character_length(text);
        uint8_t byte = text.data[0];
        if (len == 0 || is_control(byte) || byte == '"' || byte == '\\')
            put_escaped_byte(sink, format, byte);
        else
            sink_put(sink, text.data, len);
        text = drop_front(text, len > 0 ? len : 1);
    }
    put_text(sink, is_cut ? "...\"" : "\"");
}

/* Whether a logfmt value needs no quotes. */
static bool is_bare(struct span text)
{
    if (text.len == 0)
        return false;
    while (text.len > 0) {
        size_t len = character_length(text);
        if (len == 0 || is_control(text.data[0]) || strchr(" \"=\\", text.data[0]) != NULL)
            return false;
        text = drop_front(text, len);
    }
    return true;
}

/* The part of `text` that is written: LOG_FORMAT_VALUE_MAX bytes, or up to 3 fewer, so that no character
 * is split. */
static struct span value_to_write(struct span text)
{
    size_t len = LOG_FORMAT_VALUE_MAX;

    if (text.len <= len)
        return text;
    while (len > LOG_FORMAT_VALUE_MAX - 3 && is_continuation(text.data[len]))
        len--;
    return span_of(text.data, len);
}

static void put_value(struct sink *sink, enum log_format format, const struct log_field *field)
{
    struct span text = value_to_write(field->text);
    bool is_cut = text.len < field->text.len;

    if (field->is_number)
        put_signed(sink, field->number);
    else if (format == LOG_FORMAT_JSON || is_cut || !is_bare(text))
        put_quoted(sink, format, text, is_cut);
    else
        sink_put(sink, text.data, text.len);
}

/* Writes ` key=`, or `,"key":` in JSON. */
static void put_key(struct sink *sink, enum log_format format, const char *key)
{
    bool is_json = format == LOG_FORMAT_JSON;

    put_text(sink, is_json ? ",\"" : " ");
    put_text(sink, key);
    put_text(sink, is_json ? "\":" : "=");
}

static void put_head(struct sink *sink, enum log_format format, const struct log_line *line)
{
    bool is_json = format == LOG_FORMAT_JSON;

    put_text(sink, is_json ? "{\"ts\":\"" : "ts=");
    put_text(sink, line->time);
    put_text(sink, is_json ? "\",\"level\":\"" : " level=");
    put_text(sink, log_level_text(line->level));
    put_text(sink, is_json ? "\",\"event\":\"" : " event=");
    put_text(sink, line->event);
    if (is_json)
        put_text(sink, "\"");
}

/* False if a field did not fit; then nothing of that field is written. */
static bool put_fields(struct sink *sink, enum log_format format, const struct log_line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        struct sink before = *sink;
        put_key(sink, format, line->fields[i].key);
        put_value(sink, format, &line->fields[i]);
        if (sink->full) {
            *sink = before;
            return false;
        }
    }
    return true;
}

size_t log_format_line(enum log_format format, const struct log_line *line, uint8_t *out, size_t size)
{
    assert(size >= LOG_FORMAT_SIZE_MIN);
    struct sink sink = sink_of(out, size - TRAILER_MAX);

    put_head(&sink, format, line);
    bool is_whole = put_fields(&sink, format, line);
    sink.end += TRAILER_MAX;
    if (line->suppressed > 0) {
        put_key(&sink, format, "suppressed");
        put_unsigned(&sink, line->suppressed);
    }
    if (!is_whole) {
        put_key(&sink, format, "cut");
        put_text(&sink, "true");
    }
    put_text(&sink, format == LOG_FORMAT_JSON ? "}\n" : "\n");
    return (size_t)(sink.at - out);
}
