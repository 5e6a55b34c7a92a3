#include "spoa/core/base/alarms.h"

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

void alarms_note(struct alarms *alarms, enum alarm_kind kind, bool holds, const struct alarm_subject *subject,
                 const char *detail, int64_t now_ms)
{
    uint32_t bit = UINT32_C(1) << kind;
    bool was_raised = (alarms->raised & bit) != 0;

    if (holds && (alarms->holding & bit) == 0)
        alarms->since_ms[kind] = now_ms;
    alarms->holding = holds ? alarms->holding | bit : alarms->holding & ~bit;
    bool is_raised = holds && (was_raised || now_ms - alarms->since_ms[kind] >= kinds[kind].hold_ms);
    if (is_raised == was_raised)
        return;
    alarms->raised ^= bit;
    if (is_raised)
        log_event(LOG_LEVEL_WARNING, "alarm", log_text("alarm", kinds[kind].text),
                  log_text(subject->key, subject->name), log_text("detail", detail),
                  log_text("meaning", kinds[kind].meaning));
    else
        log_event(LOG_LEVEL_INFO, "alarm-cleared", log_text("alarm", kinds[kind].text),
                  log_text(subject->key, subject->name),
                  log_number("lasted-ms", now_ms - alarms->since_ms[kind]));
}

void alarms_inherit(struct alarms *alarms, const struct alarms *former, enum alarm_kind kind)
{
    uint32_t bit = UINT32_C(1) << kind;

    alarms->since_ms[kind] = former->since_ms[kind];
    alarms->holding = (alarms->holding & ~bit) | (former->holding & bit);
    alarms->raised = (alarms->raised & ~bit) | (former->raised & bit);
}
