#include "spoa/core/observers/quarters.h"

#include <stdbool.h>
#include <string.h>

static void forget_gap(struct quarters *quarters, int64_t number)
{
    if (number - quarters->newest >= QUARTERS)
        memset(quarters->felt, QUARTER_UNKNOWN, sizeof(quarters->felt));
    else
        for (int64_t next = quarters->newest + 1; next <= number; next++)
            quarters->felt[next % QUARTERS] = QUARTER_UNKNOWN;
}

void quarters_tick(struct quarters *quarters, int64_t now_ms)
{
    quarters_note(quarters, QUARTER_GOOD, now_ms, now_ms);
}

void quarters_note(struct quarters *quarters, enum quarter_felt felt, int64_t from_ms, int64_t now_ms)
{
    int64_t last = now_ms / QUARTER_MS;
    int64_t first = from_ms / QUARTER_MS;

    forget_gap(quarters, last);
    if (last > quarters->newest)
        quarters->newest = last;
    if (first <= quarters->newest - QUARTERS)
        first = quarters->newest - QUARTERS + 1;
    for (int64_t next = first > 0 ? first : 0; next <= last; next++)
        if (quarters->felt[next % QUARTERS] < felt)
            quarters->felt[next % QUARTERS] = (uint8_t)felt;
}

const char *quarters_format(const struct quarters *quarters, int64_t now_ms, char text[QUARTERS + 1])
{
    static const char letters[] = {
        [QUARTER_UNKNOWN] = 'n', [QUARTER_GOOD] = 'g', [QUARTER_WAITED] = 'w', [QUARTER_REFUSED] = 'b'};
    int64_t last = now_ms / QUARTER_MS;

    for (int64_t i = 0; i < QUARTERS; i++) {
        int64_t number = last - (QUARTERS - 1) + i;
        bool is_kept = number >= 0 && number <= quarters->newest && number > quarters->newest - QUARTERS;
        text[i] = letters[is_kept ? quarters->felt[number % QUARTERS] : QUARTER_UNKNOWN];
    }
    text[QUARTERS] = '\0';
    return text;
}
