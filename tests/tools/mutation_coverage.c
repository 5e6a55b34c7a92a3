/* Linked into what mutation.py runs: notes each function that is entered, in a file of the folder ENTERED (environment).
 * The file has the name of the program or library, and a byte for each address in it: 1 where a function begins that was
 * entered. The file is mapped and shared, so it also has what children do that end by _exit() or in a sandbox. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Larger than any of the programs and libraries. */
#define ADDRESSES ((size_t)16 * 1024 * 1024)

/* Each program or library has its own. The linker gives the first, and gcc calls the others (-finstrument-functions). */
#pragma GCC visibility push(hidden)
extern const char __ehdr_start[];
void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);
#pragma GCC visibility pop

static uint8_t *entered;

__attribute__((constructor)) static void open_file(void)
{
    const char *folder = getenv("ENTERED");
    char path[4096];
    Dl_info own;

    if (folder == NULL)
        return;
    if (dladdr(__ehdr_start, &own) == 0)
        abort();
    (void)snprintf(path, sizeof(path), "%s/%s", folder, strrchr(own.dli_fname, '/') + 1);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd == -1 || ftruncate(fd, ADDRESSES) != 0)
        abort();
    entered = mmap(NULL, ADDRESSES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (entered == MAP_FAILED)
        abort();
    close(fd);
}

void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)caller;
    if (entered != NULL)
        entered[(uintptr_t)function - (uintptr_t)__ehdr_start] = 1;
}

void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)function;
    (void)caller;
}
