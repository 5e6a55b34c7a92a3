#include "spoa/core/base/alarms.h"

#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/log.h"

static const struct {
    const char *text;
    int64_t hold_ms;
    const char *meaning;
} kinds[] = {
#define X(name, text, hold_ms, meaning) [ALARM_##name] = {(text), (hold_ms), (meaning)},
    ALARMS(X)
#undef X
};

const char *alarm_text(enum alarm_kind kind)
{
    return kinds[kind].text;
}

const char *alarm_meaning(enum alarm_kind kind)
{
    return kinds[kind].meaning;
}

/* ---- details ---- */

/* The place of the entry of this kind; `details->len` if there is none. */
static size_t find_detail(const struct alarm_details *details, enum alarm_kind kind)
{
    size_t at = 0;

    while (at < details->len && details->entries[at] != (char)kind)
        at += 1 + strlen(details->entries + at + 1) + 1;
    return at;
}

static void remove_detail(struct alarm_details *details, size_t at)
{
    size_t len = 1 + strlen(details->entries + at + 1) + 1;

    memmove(details->entries + at, details->entries + at + len, details->len - at - len);
    details->len = (uint16_t)(details->len - len);
}

static void write_detail(struct alarm_details *details, enum alarm_kind kind, const char *detail)
{
    size_t at = find_detail(details, kind);
    size_t len = strnlen(detail, ALARM_DETAILS_MAX - 2);

    if (at < details->len && strcmp(details->entries + at + 1, detail) == 0)
        return;
    if (at < details->len)
        remove_detail(details, at);
    while (details->len + len + 2 > ALARM_DETAILS_MAX)
        remove_detail(details, 0);
    char *entry = details->entries + details->len;
    entry[0] = (char)kind;
    memcpy(entry + 1, detail, len);
    entry[1 + len] = '\0';
    details->len = (uint16_t)(details->len + len + 2);
}

static void keep_detail(struct alarms *alarms, enum alarm_kind kind, const char *detail)
{
    if (alarms->details == NULL && !alarms->is_answering)
        alarms->details = calloc(1, sizeof(*alarms->details));
    if (alarms->details != NULL)
        write_detail(alarms->details, kind, detail);
}

static bool is_lasting(const struct alarms *alarms, enum alarm_kind kind)
{
    return alarms->lasting != NULL && alarms->lasting_kind == kind;
}

static void forget_detail(struct alarms *alarms, enum alarm_kind kind)
{
    struct alarm_details *details = alarms->details;

    if (is_lasting(alarms, kind))
        alarms->lasting = NULL;
    if (details == NULL)
        return;
    size_t at = find_detail(details, kind);
    if (at < details->len)
        remove_detail(details, at);
    if (details->len == 0)
        alarms_finish(alarms);
}

void alarms_finish(struct alarms *alarms)
{
    free(alarms->details);
    alarms->details = NULL;
}

const char *alarms_detail(const struct alarms *alarms, enum alarm_kind kind)
{
    const struct alarm_details *details = alarms->details;

    if (is_lasting(alarms, kind))
        return alarms->lasting;
    if (details == NULL)
        return NULL;
    size_t at = find_detail(details, kind);
    return at < details->len ? details->entries + at + 1 : NULL;
}

/* ---- alarms ---- */

/* Records the condition. True if the alarm is raised by it, or is raised already and goes on. */
static bool note_condition(struct alarms *alarms, enum alarm_kind kind, bool holds, int64_t now_ms)
{
    uint32_t bit = UINT32_C(1) << kind;

    if (holds && (alarms->holding & bit) == 0)
        alarms->since_ms[kind] = now_ms;
    alarms->holding = holds ? alarms->holding | bit : alarms->holding & ~bit;
    return holds &&
           (alarms_is_raised(alarms, kind) || now_ms - alarms->since_ms[kind] >= kinds[kind].hold_ms);
}

static void set_raised(struct alarms *alarms, enum alarm_kind kind, bool is_raised,
                       const struct alarm_subject *subject, const char *detail, int64_t now_ms)
{
    if (is_raised == alarms_is_raised(alarms, kind))
        return;
    alarms->raised ^= UINT32_C(1) << kind;
    if (!is_raised)
        forget_detail(alarms, kind);
    if (is_raised)
        log_event(EVENT_ALARM, log_text("alarm", kinds[kind].text), log_text(subject->key, subject->name),
                  log_text("detail", detail), log_text("meaning", kinds[kind].meaning));
    else
        log_event(EVENT_ALARM_CLEARED, log_text("alarm", kinds[kind].text),
                  log_text(subject->key, subject->name),
                  log_number("lasted-ms", now_ms - alarms->since_ms[kind]));
}

void alarms_note(struct alarms *alarms, enum alarm_kind kind, bool holds, const struct alarm_subject *subject,
                 const char *detail, int64_t now_ms)
{
    bool is_raised = note_condition(alarms, kind, holds, now_ms);

    if (is_raised && detail != NULL)
        keep_detail(alarms, kind, detail);
    set_raised(alarms, kind, is_raised, subject, detail, now_ms);
}

void alarms_note_lasting(struct alarms *alarms, enum alarm_kind kind, bool holds,
                         const struct alarm_subject *subject, const char *detail, int64_t now_ms)
{
    bool is_raised = note_condition(alarms, kind, holds, now_ms);

    if (is_raised) {
        alarms->lasting = detail;
        alarms->lasting_kind = kind;
    }
    set_raised(alarms, kind, is_raised, subject, detail, now_ms);
}

void alarms_inherit(struct alarms *alarms, const struct alarms *former, enum alarm_kind kind)
{
    uint32_t bit = UINT32_C(1) << kind;
    const char *detail = alarms_detail(former, kind);

    if (detail != NULL)
        keep_detail(alarms, kind, detail);
    alarms->since_ms[kind] = former->since_ms[kind];
    alarms->holding = (alarms->holding & ~bit) | (former->holding & bit);
    alarms->raised = (alarms->raised & ~bit) | (former->raised & bit);
}
