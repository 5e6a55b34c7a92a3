#include "tests/lib/guarded.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

uint8_t *guarded_space(size_t len)
{
    static uint8_t *pages;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    assert(len <= page);
    if (pages == NULL) {
        pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert(pages != MAP_FAILED);
        int closed = mprotect(pages + page, page, PROT_NONE);
        assert(closed == 0);
    }
    return pages + page - len;
}

const uint8_t *guarded_copy(const void *data, size_t len)
{
    uint8_t *space = guarded_space(len);

    if (len > 0)
        memcpy(space, data, len);
    return space;
}
