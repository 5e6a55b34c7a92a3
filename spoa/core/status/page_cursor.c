#include "spoa/core/status/page_cursor.h"

#include "spoa/core/status/status.h"
#include "spoa/core/voters/voter_group.h"

void page_cursor_next_section(struct page_cursor *cursor)
{
    cursor->section++;
    cursor->group = 0;
    cursor->service = 0;
}

bool page_cursor_is_first(const struct page_cursor *cursor)
{
    return cursor->group == 0 && cursor->service == 0;
}

bool page_cursor_next(struct page_cursor *cursor, const struct status *status,
                      const struct voter_group **ret_group, const struct service **ret_service)
{
    for (; cursor->group < status->group_count; cursor->group++, cursor->service = 0) {
        const struct voter_group *group = status->groups[cursor->group];
        if (cursor->service == voter_group_service_count(group))
            continue;
        *ret_group = group;
        *ret_service = voter_group_service(group, cursor->service++);
        return true;
    }
    return false;
}

bool page_cursor_next_group(struct page_cursor *cursor, const struct status *status,
                            const struct voter_group **ret_group)
{
    if (cursor->group >= status->group_count)
        return false;
    *ret_group = status->groups[cursor->group++];
    return true;
}
