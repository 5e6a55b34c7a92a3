/* replay DIRECTORY: runs a fuzz target over every file of a corpus. Exits with 1 where there is none. */
#include <dirent.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX ((size_t)1024 * 1024)

static void run_file(const char *folder, const char *name, uint8_t *space)
{
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    size_t len = fread(space, 1, INPUT_MAX, file);
    (void)fclose(file);
    /* A copy of its very size, so that a sanitizer sees what is read behind it. */
    uint8_t *input = malloc(len + (len == 0));
    CHECK(input != NULL);
    memcpy(input, space, len);
    (void)LLVMFuzzerTestOneInput(input, len);
    free(input);
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    uint8_t *space = malloc(INPUT_MAX);
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;

    CHECK(space != NULL && folder != NULL);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        if (entry->d_name[0] != '.') {
            run_file(argv[1], entry->d_name, space);
            count++;
        }
    (void)closedir(folder);
    free(space);
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}
