#include "spoa/io/process/config_file.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spoa/core/config/config.h"
#include "spoa/core/config/config_errors.h"
#include "spoa/io/net/tls.h"

/* The longest password that we take from a file. */
#define SECRET_MAX 512

#define BLANKS " \t\r\v\f"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct config_reader {
    FILE *file;
    struct config *config;
    struct config_errors *errors;
    struct config_place place; /* of the line that inih has in hand */
};

static bool is_comment(const char *line)
{
    return line[0] == '\0' || line[0] == ';' || line[0] == '#';
}

/* inih cuts section names at 49 bytes and says nothing of a section without keys: we read these lines. */
static void read_section(struct config_reader *reader, char *line)
{
    char *end = strchr(line, ']');

    if (end == NULL) {
        config_error(reader->errors, &reader->place, "']' is missing behind '%s'", line);
        return;
    }
    const char *rest = end + 1 + strspn(end + 1, BLANKS);
    if (!is_comment(rest))
        config_error(reader->errors, &reader->place, "'%s' stands behind ']': a key has a line of its own",
                     rest);
    *end = '\0';
    config_section(reader->config, &reader->place, line + 1, reader->errors);
}

/* Takes off what inih takes for a comment: from a ';' behind a blank on. */
static void cut_comment(char *line)
{
    for (char *c = line + 1; *c != '\0'; c++)
        if (*c == ';' && isspace((unsigned char)c[-1])) {
            *c = '\0';
            return;
        }
}

/* Looks at a line before inih does; one that inih must not see is emptied. */
static void look_at_line(struct config_reader *reader, char *line)
{
    /* inih takes a line that begins with a blank for more of the value before it. */
    size_t blanks = strspn(line, BLANKS);
    memmove(line, line + blanks, strlen(line + blanks) + 1);
    if (is_comment(line))
        return;
    if (line[0] == '[') {
        read_section(reader, line);
        line[0] = '\0';
        return;
    }
    cut_comment(line);
    if (strchr(line, '=') == NULL) {
        /* The first word only: the rest may be a password. */
        config_error(reader->errors, &reader->place, "'=' is missing behind '%.*s'",
                     (int)strcspn(line, BLANKS), line);
        line[0] = '\0';
    }
}

/* Reads a line whole, however long, but keeps no more than `size` bytes with a NUL. False at the end. */
static bool fetch_line(FILE *file, char *line, size_t size, size_t *ret_len, bool *ret_has_nul)
{
    size_t len = 0;
    bool has_nul = false;
    int c;

    while ((c = fgetc(file)) != EOF && c != '\n') {
        if (len < size - 1)
            line[len] = (char)c;
        has_nul = has_nul || c == '\0';
        len++;
    }
    line[len < size ? len : size - 1] = '\0';
    *ret_len = len;
    *ret_has_nul = has_nul;
    return c != EOF || len > 0;
}

/* Reads a line for inih, in the place of fgets(), and counts. */
static char *read_line(char *line, int size, void *stream)
{
    struct config_reader *reader = stream;
    size_t max = (size_t)size - 2; /* with the newline and a NUL it fills the space */
    size_t len;
    bool has_nul;

    if (!fetch_line(reader->file, line, (size_t)size, &len, &has_nul))
        return NULL;
    reader->place.line++;
    if (len > max)
        config_error(reader->errors, &reader->place, "the line is longer than %zu bytes", max);
    else if (has_nul)
        config_error(reader->errors, &reader->place, "the line has a NUL byte in it");
    if (len > max || has_nul)
        line[0] = '\0';
    if (reader->place.line == 1 && strncmp(line, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
        memmove(line, line + strlen(BYTE_ORDER_MARK), strlen(line + strlen(BYTE_ORDER_MARK)) + 1);
    look_at_line(reader, line);
    return line;
}

/* Writes the value of the variable that `*cursor`, behind "${", begins with. False where it cannot. */
static bool expand_variable(struct config_reader *reader, const char **cursor, FILE *out)
{
    const char *end = strchr(*cursor, '}');
    char name[128];

    if (end == NULL || (size_t)(end - *cursor) >= sizeof(name)) {
        /* What follows is not shown: it may be a password. */
        config_error(reader->errors, &reader->place, "'}' is missing behind '${', or the name is too long");
        return false;
    }
    memcpy(name, *cursor, (size_t)(end - *cursor));
    name[end - *cursor] = '\0';
    *cursor = end + 1;
    const char *value = getenv(name);
    if (value == NULL) {
        config_error(reader->errors, &reader->place, "the environment variable '%s' is not set", name);
        return false;
    }
    fputs(value, out);
    return true;
}

/* The value with every ${NAME} replaced; to be freed. NULL where that cannot be done, which is reported. */
static char *expand(struct config_reader *reader, const char *value)
{
    char *expanded = NULL;
    size_t len = 0;
    bool is_good = true;
    FILE *out = open_memstream(&expanded, &len);

    if (out == NULL) {
        reader->errors->out_of_memory = true;
        return NULL;
    }
    while (is_good && *value != '\0') {
        if (value[0] == '$' && value[1] == '{') {
            value += 2;
            is_good = expand_variable(reader, &value, out);
        } else {
            fputc(*value++, out);
        }
    }
    if (fclose(out) != 0) {
        reader->errors->out_of_memory = true;
        is_good = false;
    }
    if (!is_good) {
        free(expanded);
        return NULL;
    }
    return expanded;
}

/* inih's handler; the section is the one that read_section() saw. */
static int take_key(void *user, const char *section, const char *key, const char *value)
{
    struct config_reader *reader = user;
    char *expanded = expand(reader, value);

    (void)section;
    if (expanded != NULL)
        config_set(reader->config, &reader->place, key, expanded, reader->errors);
    free(expanded);
    return 1;
}

/* Takes the first line of what was read for the password. */
static void take_secret(struct config_credentials *credentials, char *secret, size_t len,
                        const struct config_place *place, struct config_errors *errors)
{
    const char *end = memchr(secret, '\n', len);

    if (end != NULL)
        len = (size_t)(end - secret);
    if (len > 0 && secret[len - 1] == '\r')
        len--;
    if (len == 0 || len > SECRET_MAX || memchr(secret, '\0', len) != NULL)
        config_error(errors, place, "'%s' has no password of 1 to %d bytes in its first line",
                     credentials->password_file, SECRET_MAX);
    else if ((credentials->password = calloc(1, len + 1)) != NULL)
        memcpy(credentials->password, secret, len);
    else
        errors->out_of_memory = true;
}

static void read_secret(struct config_credentials *credentials, const char *file,
                        struct config_errors *errors, struct config_errors *warnings)
{
    struct config_place place = {.file = file, .line = credentials->password_file_line};
    char secret[SECRET_MAX + 2]; /* "\r\n" behind the longest */
    struct stat status;

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
        take_secret(credentials, secret, len, &place, errors);
    if (fstat(fileno(in), &status) == 0 && (status.st_mode & S_IROTH) != 0)
        config_error(warnings, &place, "everybody can read the password in '%s'", credentials->password_file);
    fclose(in);
    explicit_bzero(secret, sizeof(secret));
}

/* Whether its files can be used: they are read again by whoever connects. */
static void try_tls(const struct config_tls *settings, const char *file, struct config_errors *errors)
{
    struct config_place place = {.file = file, .line = settings->line};
    char reason[TLS_ERROR_MAX];

    /* One without the other was reported already. */
    if (!settings->is_on || (settings->cert_file != NULL) != (settings->key_file != NULL))
        return;
    struct tls *tls = tls_create(settings, reason);
    if (tls == NULL)
        config_error(errors, &place, "%s", reason);
    tls_destroy(tls);
}

/* Whether the program is there. */
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

/* Hands the file to inih. False where it cannot be read, which is reported. */
static bool read_file(const char *path, struct config *config, struct config_errors *errors)
{
    struct config_reader reader = {
        .file = fopen(path, "re"), .config = config, .errors = errors, .place = {.file = path}};
    struct config_place whole = {.file = path};

    if (reader.file == NULL) {
        config_error(errors, &whole, "cannot open: %s", strerror(errno));
        return false;
    }
    /* Its result names the first bad line only; look_at_line() has reported them all. */
    (void)ini_parse_stream(read_line, &reader, take_key, &reader);
    bool is_read = !ferror(reader.file);
    if (!is_read)
        config_error(errors, &whole, "cannot read: %s", strerror(errno));
    fclose(reader.file);
    return is_read;
}

bool config_file_load(const char *path, struct config *config, struct config_errors *errors)
{
    if (!read_file(path, config, errors))
        return false;
    config_finish(config, path, errors);
    for (size_t i = 0; i < config->group_count; i++) {
        read_secret(&config->groups[i].credentials, path, errors, &config->warnings);
        try_tls(&config->groups[i].tls, path, errors);
    }
    for (size_t i = 0; i < config->service_count; i++) {
        read_secret(&config->services[i].credentials, path, errors, &config->warnings);
        try_tls(&config->services[i].tls, path, errors);
        try_hook(&config->services[i], path, errors);
    }
    return errors->count == 0 && !errors->out_of_memory;
}
