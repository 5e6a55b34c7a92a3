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

static bool is_public(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && (status.st_mode & S_IROTH) != 0;
}

/* `what` is in the file at `path`, which is open as `fd`. */
static void warn_if_public(int fd, const char *what, const char *path, const struct config_place *place,
                           struct config_errors *warnings)
{
    if (is_public(fd))
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
    if (settings->key_file == NULL)
        return;
    int key = open(settings->key_file, O_RDONLY | O_CLOEXEC);
    if (key == -1)
        return;
    warn_if_public(key, "key", settings->key_file, &place, warnings);
    close(key);
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

static void read_listens(struct config_listens *listens, const char *file, struct config_errors *errors,
                         struct config_errors *warnings)
{
    for (size_t i = 0; i < listens->count; i++) {
        struct config_listen *listen = &listens->list[i];
        config_file_read_secret(&listen->token, "token", file, errors, warnings);
        try_tls(&listen->tls, tls_create_server, file, errors, warnings);
    }
}

/* The files that a section names. */
static void finish_agent(struct config_agent *agent, const char *path, struct config_errors *errors,
                         struct config_errors *warnings)
{
    read_listens(&agent->listens, path, errors, warnings);
    read_listens(&agent->web, path, errors, warnings);
}

static void finish_group(struct config_voters *group, const char *path, struct config_errors *errors,
                         struct config_errors *warnings)
{
    config_file_read_secret(&group->credentials, "password", path, errors, warnings);
    try_tls(&group->tls, tls_create, path, errors, warnings);
}

static void finish_service(struct config_service *service, const char *path, struct config_errors *errors,
                           struct config_errors *warnings)
{
    config_file_read_secret(&service->credentials, "password", path, errors, warnings);
    try_tls(&service->tls, tls_create, path, errors, warnings);
    try_hook(service, path, errors);
}

/* ---- a load ---- */

#define PIECE ((size_t)1024)

struct config_load {
    const char *path;
    struct config *config;
    struct config_errors *errors;
    char *bytes; /* of the file */
    size_t len;
    size_t at;          /* so many were read */
    bool is_public;     /* everybody can read the file */
    bool is_unreadable; /* which is reported */
    bool is_parsed;
    size_t finished; /* so many had their files read: [agent], groups, services */
    struct config_reader reader;
};

/* False if memory is short. */
static bool take_bytes(struct config_load *load, FILE *file)
{
    size_t size = 0;
    size_t more;

    do {
        if (load->len == size) {
            size = size > 0 ? 2 * size : (size_t)64 * 1024;
            char *larger = realloc(load->bytes, size);
            if (larger == NULL)
                return false;
            load->bytes = larger;
        }
        more = fread(load->bytes + load->len, 1, size - load->len, file);
        load->len += more;
    } while (more > 0);
    return true;
}

/* What goes wrong is reported. */
static void read_bytes(struct config_load *load)
{
    const struct config_place whole = {.file = load->path};
    FILE *file = fopen(load->path, "re");

    load->is_unreadable = true;
    if (file == NULL) {
        config_error(load->errors, &whole, "cannot open: %s", strerror(errno));
        return;
    }
    if (!take_bytes(load, file))
        load->errors->out_of_memory = true;
    else if (ferror(file))
        config_error(load->errors, &whole, "cannot read: %s", strerror(errno));
    else
        load->is_unreadable = false;
    load->is_public = is_public(fileno(file));
    fclose(file);
}

struct config_load *config_load_begin(const char *path, struct config *config, struct config_errors *errors)
{
    struct config_load *load = calloc(1, sizeof(*load));

    if (load == NULL)
        return NULL;
    load->path = path;
    load->config = config;
    load->errors = errors;
    config_reader_init(&load->reader, config, path, getenv, errors);
    read_bytes(load);
    return load;
}

/* A password in the file is everybody's if the file is. */
static void end_text(struct config_load *load)
{
    const struct config_place place = {.file = load->path, .line = load->reader.password_line};

    config_reader_end(&load->reader);
    load->is_parsed = true;
    if (place.line != 0 && load->is_public)
        config_error(&load->config->warnings, &place, "everybody can read the password in '%s'", load->path);
}

static enum progress parse(struct config_load *load, size_t *io_budget)
{
    while (load->at < load->len) {
        size_t len = load->len - load->at < PIECE ? load->len - load->at : PIECE;
        if (!progress_spend(io_budget))
            return PROGRESS_MORE;
        config_reader_feed(&load->reader, load->bytes + load->at, len);
        load->at += len;
    }
    if (!load->is_parsed)
        end_text(load);
    return PROGRESS_DONE;
}

/* Reads the files that groups and services name. */
static enum progress read_files(struct config_load *load, size_t *io_budget)
{
    struct config *config = load->config;
    size_t groups = config->group_count;

    for (; load->finished < 1 + groups + config->service_count; load->finished++) {
        size_t at = load->finished;
        if (!progress_spend(io_budget))
            return PROGRESS_MORE;
        if (at == 0)
            finish_agent(&config->agent, load->path, load->errors, &config->warnings);
        else if (at <= groups)
            finish_group(&config->groups[at - 1], load->path, load->errors, &config->warnings);
        else
            finish_service(&config->services[at - 1 - groups], load->path, load->errors, &config->warnings);
    }
    return PROGRESS_DONE;
}

enum progress config_load_step(struct config_load *load, size_t *io_budget)
{
    if (load->is_unreadable)
        return PROGRESS_DONE;
    if (parse(load, io_budget) == PROGRESS_MORE ||
        config_finish_some(load->config, load->path, load->errors, io_budget) == PROGRESS_MORE)
        return PROGRESS_MORE;
    return read_files(load, io_budget);
}

bool config_load_is_good(const struct config_load *load)
{
    return load->errors->count == 0 && !load->errors->out_of_memory;
}

void config_load_destroy(struct config_load *load)
{
    if (load == NULL)
        return;
    if (load->bytes != NULL)
        explicit_bzero(load->bytes, load->len);
    free(load->bytes);
    explicit_bzero(&load->reader, sizeof(load->reader));
    free(load);
}

/* All of it at once. */
static bool finish_load(struct config_load *load)
{
    size_t budget = PROGRESS_UNLIMITED;

    (void)config_load_step(load, &budget);
    return config_load_is_good(load);
}

bool config_file_finish(const char *path, struct config *config, struct config_errors *errors)
{
    struct config_load load = {.path = path, .config = config, .errors = errors, .is_parsed = true};

    return finish_load(&load);
}

bool config_file_load(const char *path, struct config *config, struct config_errors *errors)
{
    struct config_load *load = config_load_begin(path, config, errors);
    bool is_good = load != NULL && finish_load(load);

    errors->out_of_memory = errors->out_of_memory || load == NULL;
    config_load_destroy(load);
    return is_good;
}
