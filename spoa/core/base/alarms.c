#include "spoa/core/base/alarms.h"

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

/* The place of the entry of this kind; `details_len` if there is none. */
static size_t find_detail(const struct alarms *alarms, enum alarm_kind kind)
{
    size_t at = 0;

    while (at < alarms->details_len && alarms->details[at] != (char)kind)
        at += 1 + strlen(alarms->details + at + 1) + 1;
    return at;
}

static void remove_detail(struct alarms *alarms, size_t at)
{
    size_t len = 1 + strlen(alarms->details + at + 1) + 1;

    memmove(alarms->details + at, alarms->details + at + len, alarms->details_len - at - len);
    alarms->details_len = (uint16_t)(alarms->details_len - len);
}

static void keep_detail(struct alarms *alarms, enum alarm_kind kind, const char *detail)
{
    size_t at = find_detail(alarms, kind);
    size_t len = strnlen(detail, ALARM_DETAILS_MAX - 2);

    if (at < alarms->details_len && strcmp(alarms->details + at + 1, detail) == 0)
        return;
    if (at < alarms->details_len)
        remove_detail(alarms, at);
    while (alarms->details_len + len + 2 > ALARM_DETAILS_MAX)
        remove_detail(alarms, 0);
    char *entry = alarms->details + alarms->details_len;
    entry[0] = (char)kind;
    memcpy(entry + 1, detail, len);
    entry[1 + len] = '\0';
    alarms->details_len = (uint16_t)(alarms->details_len + len + 2);
}

static void forget_detail(struct alarms *alarms, enum alarm_kind kind)
{
    size_t at = find_detail(alarms, kind);

    if (at < alarms->details_len)
        remove_detail(alarms, at);
}

const char *alarms_detail(const struct alarms *alarms, enum alarm_kind kind)
{
    size_t at = find_detail(alarms, kind);

    return at < alarms->details_len ? alarms->details + at + 1 : NULL;
}

/* ---- alarms ---- */

void alarms_note(struct alarms *alarms, enum alarm_kind kind, bool holds, const struct alarm_subject *subject,
                 const char *detail, int64_t now_ms)
{
    uint32_t bit = UINT32_C(1) << kind;
    bool was_raised = (alarms->raised & bit) != 0;

    if (holds && (alarms->holding & bit) == 0)
        alarms->since_ms[kind] = now_ms;
    alarms->holding = holds ? alarms->holding | bit : alarms->holding & ~bit;
    bool is_raised = holds && (was_raised || now_ms - alarms->since_ms[kind] >= kinds[kind].hold_ms);
    if (is_raised && detail != NULL)
        keep_detail(alarms, kind, detail);
    if (is_raised == was_raised)
        return;
    alarms->raised ^= bit;
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
