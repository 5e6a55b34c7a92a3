/*
 * Our own allocations, which the linker leads here (--wrap): the n-th fails. For the programs that the Makefile links so.
 */
#ifndef TESTS_UNIT_IO_ALLOCATION_FIXTURE_H
#define TESTS_UNIT_IO_ALLOCATION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static unsigned long countdown; /* 0: none fails */
static bool has_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);

static inline bool fails_now(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t len)
{
    return fails_now() ? NULL : __real_strndup(text, len);
}

/* Lets each allocation of the scenario fail once; the one that none is left for must succeed. */
static inline void fail_each(bool (*scenario)(void))
{
    unsigned long n = 0;
    bool is_good;

    do {
        countdown = ++n;
        has_failed = false;
        is_good = scenario();
        countdown = 0;
        assert_true(n < 100000);
    } while (has_failed);
    assert_true(is_good);
    assert_true(n > 1);
    print_message("%lu allocations\n", n - 1);
}

#endif
