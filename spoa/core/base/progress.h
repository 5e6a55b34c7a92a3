/*
 * Work in slices, so that nobody waits long for an answer: a function does some of it, and says whether there is more.
 * A budget counts units of work, not time: what a slice does is the same on each machine, and can be tested.
 */
#ifndef SPOA_CORE_BASE_PROGRESS_H
#define SPOA_CORE_BASE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

enum progress {
    PROGRESS_MORE, /* call again */
    PROGRESS_DONE,
    PROGRESS_FAILED, /* memory is short */
};

/* More than any work takes. */
#define PROGRESS_UNLIMITED SIZE_MAX

/* Takes a unit out of the budget. False if it is used up. */
static inline bool progress_spend(size_t *io_budget)
{
    if (*io_budget == 0)
        return false;
    --*io_budget;
    return true;
}

#endif
