#include "spoa/io/process/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spoa/core/config/config.h"
#include "spoa/core/config/config_reader.h"
#include "spoa/io/net/tls.h"

/* The longest password that a file may have. */
#define SECRET_MAX 512

/* Takes the first line as the password, which is called `what`. */
static void take_secret(struct config_credentials *credentials, const char *what, char *secret, size_t len,
                        const struct config_place *place, struct config_errors *errors)
{
    const char *end = memchr(secret, '\n', len);

    if (end != NULL)
        len = (size_t)(end - secret);
    if (len > 0 && secret[len - 1] == '\r')
        len--;
    if (len == 0 || len > SECRET_MAX || memchr(secret, '\0', len) != NULL)
        config_error(errors, place, "'%s' has no %s of 1 to %d bytes in its first line",
                     credentials->password_file, what, SECRET_MAX);
    else if ((credentials->password = calloc(1, len + 1)) != NULL)
        memcpy(credentials->password, secret, len);
    else
        errors->out_of_memory = true;
}

/* `what` is in the file at `path`, which is open as `fd`. */
static void warn_if_public(int fd, const char *what, const char *path, const struct config_place *place,
                           struct config_errors *warnings)
{
    struct stat status;

    if (fstat(fd, &status) == 0 && (status.st_mode & S_IROTH) != 0)
        config_error(warnings, place, "everybody can read the %s in '%s'", what, path);
}

void config_file_read_secret(struct config_credentials *credentials, const char *what, const char *file,
                             struct config_errors *errors, struct config_errors *warnings)
{
    struct config_place place = {.file = file, .line = credentials->password_file_line};
    char secret[SECRET_MAX + 2]; /* room for "\r\n" after the longest */

    if (credentials->password_file == NULL || credentials->password != NULL)
        return;
    FILE *in = fopen(credentials->password_file, "re");
    if (in == NULL) {
        config_error(errors, &place, "cannot read '%s': %s", credentials->password_file, strerror(errno));
        return;
    }
    size_t len = fread(secret, 1, sizeof(secret), in);
    if (ferror(in))
        config_error(errors, &place, "cannot read '%s': %s", credentials->password_file, strerror(errno));
    else
        take_secret(credentials, what, secret, len, &place, errors);
    warn_if_public(fileno(in), what, credentials->password_file, &place, warnings);
    fclose(in);
    explicit_bzero(secret, sizeof(secret));
}

typedef struct tls *(*create_tls_fn)(const struct config_tls *settings, char error[TLS_ERROR_MAX]);

/* Tries by `create` whether the TLS files can be used. They are read again when they are. */
static void try_tls(const struct config_tls *settings, create_tls_fn create, const char *file,
                    struct config_errors *errors, struct config_errors *warnings)
{
    struct config_place place = {.file = file, .line = settings->line};
    char reason[TLS_ERROR_MAX];

    /* A certificate without a key, or the reverse, is already reported. */
    if (!settings->is_on || (settings->cert_file != NULL) != (settings->key_file != NULL))
        return;
    struct tls *tls = create(settings, reason);
    if (tls == NULL)
        config_error(errors, &place, "%s", reason);
    tls_destroy(tls);
    int key = settings->key_file != NULL ? open(settings->key_file, O_RDONLY | O_CLOEXEC) : -1;
    if (key != -1) {
        warn_if_public(key, "key", settings->key_file, &place, warnings);
        close(key);
    }
}

/* Tries whether the program can be run. */
static void try_hook(const struct config_service *service, const char *file, struct config_errors *errors)
{
    struct config_place place = {.file = file, .line = service->line};
    char program[PATH_MAX];

    if (service->on_switch == NULL)
        return;
    (void)snprintf(program, sizeof(program), "%.*s", (int)strcspn(service->on_switch, " \t"),
                   service->on_switch);
    if (access(program, X_OK) == -1)
        config_error(errors, &place, "[service %s]: cannot run '%s': %s", service->name, program,
                     strerror(errno));
}

/* Reports and returns false if the file cannot be read. */
static bool read_file(const char *path, struct config *config, struct config_errors *errors)
{
    struct config_place whole = {.file = path};
    struct config_reader reader;
    char bytes[4096];
    size_t len;
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        config_error(errors, &whole, "cannot open: %s", strerror(errno));
        return false;
    }
    config_reader_init(&reader, config, path, getenv, errors);
    while ((len = fread(bytes, 1, sizeof(bytes), file)) > 0)
        config_reader_feed(&reader, bytes, len);
    bool is_read = !ferror(file);
    if (is_read)
        config_reader_end(&reader);
    else
        config_error(errors, &whole, "cannot read: %s", strerror(errno));
    const struct config_place password = {.file = path, .line = reader.password_line};
    if (is_read && password.line != 0)
        warn_if_public(fileno(file), "password", path, &password, &config->warnings);
    fclose(file);
    return is_read;
}

static void read_listens(struct config_listens *listens, const char *file, struct config_errors *errors,
                         struct config_errors *warnings)
{
    for (size_t i = 0; i < listens->count; i++) {
        struct config_listen *listen = &listens->list[i];
        config_file_read_secret(&listen->token, "token", file, errors, warnings);
        try_tls(&listen->tls, tls_create_server, file, errors, warnings);
    }
}

bool config_file_finish(const char *path, struct config *config, struct config_errors *errors)
{
    config_finish(config, path, errors);
    read_listens(&config->agent.listens, path, errors, &config->warnings);
    read_listens(&config->agent.web, path, errors, &config->warnings);
    for (size_t i = 0; i < config->group_count; i++) {
        config_file_read_secret(&config->groups[i].credentials, "password", path, errors, &config->warnings);
        try_tls(&config->groups[i].tls, tls_create, path, errors, &config->warnings);
    }
    for (size_t i = 0; i < config->service_count; i++) {
        config_file_read_secret(&config->services[i].credentials, "password", path, errors,
                                &config->warnings);
        try_tls(&config->services[i].tls, tls_create, path, errors, &config->warnings);
        try_hook(&config->services[i], path, errors);
    }
    return errors->count == 0 && !errors->out_of_memory;
}

bool config_file_load(const char *path, struct config *config, struct config_errors *errors)
{
    return read_file(path, config, errors) && config_file_finish(path, config, errors);
}
