/* A configuration file: it is refused with reasons, or what --dump-config writes of it reads as the same. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/names.h"
#include "spoa/core/config/config.h"
#include "spoa/io/process/config_file.h"
#include "tests/fuzz/fuzz.h"

/* Reads the text as a file; NULL where it is refused. */
static struct config *load(const void *text, size_t len)
{
    struct config_errors errors = {.texts = NULL};
    struct config *config = config_create();
    char path[64];
    int fd = memfd_create("configuration", MFD_CLOEXEC);

    CHECK(config != NULL && fd != -1 && write(fd, text, len) == (ssize_t)len);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    bool is_good = config_file_load(path, config, &errors);
    CHECK(is_good == (errors.count == 0));
    config_errors_finish(&errors);
    close(fd);
    if (is_good)
        return config;
    config_destroy(config);
    return NULL;
}

static char *dump(const struct config *config, size_t *ret_len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);

    CHECK(out != NULL);
    config_dump(config, out);
    CHECK(fclose(out) == 0);
    return text;
}

static void check_dump(const struct config *config)
{
    size_t len;
    size_t again_len;

    char *text = dump(config, &len);
    struct config *again = load(text, len);
    CHECK(again != NULL);
    char *same = dump(again, &again_len);
    CHECK(len == again_len && memcmp(text, same, len) == 0);
    free(same);
    free(text);
    config_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = load(data, size);

    if (config != NULL)
        check_dump(config);
    config_destroy(config);
    names_forget();
    return 0;
}
