#include "spoa/core/base/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/json.h"
#include "spoa/core/base/text.h"

#define SEVERITY_ERROR "error"
#define SEVERITY_WARNING "warning"

static const struct {
    const char *name;
    const char *severity;
} codes[] = {
#define CODE_ROW(id, name, severity) {name, SEVERITY_##severity},
    FINDING_CODES(CODE_ROW)
#undef CODE_ROW
};

const char *finding_code_name(enum finding_code code)
{
    return codes[code].name;
}

static void finish(struct finding *finding)
{
    free(finding->file);
    free(finding->message);
    free(finding->fix);
    for (size_t i = 0; i < finding->subject_count; i++)
        free(finding->subjects[i]);
    free(finding->subjects);
}

void findings_finish(struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        finish(&findings->list[i]);
    free(findings->list);
    *findings = (struct findings){.list = NULL};
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool concerns(const struct finding *finding, const char *subject)
{
    for (size_t i = 0; i < finding->subject_count; i++)
        if (strcmp(finding->subjects[i], subject) == 0)
            return true;
    return false;
}

/* False if memory is short. */
static bool join(struct finding *finding, const char *subject)
{
    if (subject == NULL || concerns(finding, subject))
        return true;
    char **larger = realloc(finding->subjects, (finding->subject_count + 1) * sizeof(*larger));
    if (larger == NULL)
        return false;
    finding->subjects = larger;
    larger[finding->subject_count] = strdup(subject);
    if (larger[finding->subject_count] == NULL)
        return false;
    finding->subject_count++;
    return true;
}

static struct finding *find(const struct findings *findings, enum finding_code code,
                            struct finding_place place, const char *fix, const char *message)
{
    for (size_t i = 0; i < findings->count; i++) {
        struct finding *finding = &findings->list[i];
        if (finding->code == code && finding->line == place.line && is_same(finding->file, place.file) &&
            is_same(finding->fix, fix) && strcmp(finding->message, message) == 0)
            return finding;
    }
    return NULL;
}

/* Takes `message`. NULL if memory is short. */
static struct finding *append(struct findings *findings, enum finding_code code, struct finding_place place,
                              const char *fix, char *message)
{
    struct finding finding = {
        .code = code,
        .file = place.file != NULL ? strdup(place.file) : NULL,
        .line = place.line,
        .message = message,
        .fix = fix != NULL ? strdup(fix) : NULL,
    };
    struct finding *larger = realloc(findings->list, (findings->count + 1) * sizeof(*larger));

    if (larger != NULL)
        findings->list = larger;
    if (larger == NULL || (place.file != NULL && finding.file == NULL) ||
        (fix != NULL && finding.fix == NULL)) {
        finish(&finding);
        return NULL;
    }
    larger[findings->count] = finding;
    return &larger[findings->count++];
}

void findings_add(struct findings *findings, enum finding_code code, struct finding_place place,
                  const char *subject, const char *fix, const char *format, ...)
{
    char *message = NULL;
    va_list args;

    va_start(args, format);
    int len = vasprintf(&message, format, args);
    va_end(args);
    if (len == -1) {
        findings->out_of_memory = true;
        return;
    }
    struct finding *finding = find(findings, code, place, fix, message);
    if (finding != NULL)
        free(message);
    else
        finding = append(findings, code, place, fix, message);
    if (finding == NULL || !join(finding, subject))
        findings->out_of_memory = true;
}

bool findings_have(const struct findings *findings, enum finding_code code, const char *subject)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->list[i].code == code && (subject == NULL || concerns(&findings->list[i], subject)))
            return true;
    return false;
}

void finding_add_subjects(const struct finding *finding, struct text *out)
{
    for (size_t i = 0; i < finding->subject_count; i++) {
        if (i > 0)
            text_add(out, i + 1 < finding->subject_count ? ", " : " and ");
        text_add(out, finding->subjects[i]);
    }
}

static void write_one(const struct finding *finding, struct json *json)
{
    json_begin_object(json, NULL);
    json_string(json, "code", codes[finding->code].name);
    json_string(json, "severity", codes[finding->code].severity);
    json_string(json, "file", finding->file);
    if (finding->line > 0)
        json_number(json, "line", finding->line);
    else
        json_null(json, "line");
    json_begin_array(json, "subject");
    for (size_t i = 0; i < finding->subject_count; i++)
        json_string(json, NULL, finding->subjects[i]);
    json_end(json);
    json_string(json, "message", finding->message);
    json_string(json, "fix", finding->fix);
    json_end(json);
}

void findings_write_json(const struct findings *findings, struct json *json, const char *key)
{
    json_begin_array(json, key);
    for (size_t i = 0; i < findings->count; i++)
        write_one(&findings->list[i], json);
    json_end(json);
}

/* Messages quote peers and files, whose control characters are not for a terminal. */
static void add_clean(struct text *out, const char *text)
{
    for (; *text != '\0'; text++) {
        bool is_control = (unsigned char)*text < ' ' || *text == 0x7f;
        text_add_bytes(out, is_control ? "?" : text, 1);
    }
}

static void write_paragraph(const struct finding *finding, struct text *out)
{
    struct text subjects = {.data = NULL};

    text_printf(out, "%s: ", codes[finding->code].severity);
    if (finding->file != NULL) {
        add_clean(out, finding->file);
        if (finding->line > 0)
            text_printf(out, ":%u", finding->line);
        text_add(out, ": ");
    }
    finding_add_subjects(finding, &subjects);
    if (subjects.len > 0) {
        add_clean(out, subjects.data);
        text_add(out, ": ");
    }
    out->has_failed |= subjects.has_failed;
    text_finish(&subjects);
    add_clean(out, finding->message);
    text_printf(out, " [%s]\n", codes[finding->code].name);
    if (finding->fix != NULL) {
        text_add(out, "  -> ");
        add_clean(out, finding->fix);
        text_add(out, "\n");
    }
}

void findings_write_text(const struct findings *findings, struct text *out)
{
    for (size_t i = 0; i < findings->count; i++)
        write_paragraph(&findings->list[i], out);
    text_printf(out, "%zu finding%s\n", findings->count, findings->count == 1 ? "" : "s");
}
