/* A certificate for 127.0.0.1 that has signed itself, made by the openssl program. */
#ifndef TESTS_UNIT_IO_NET_CERTIFICATE_FIXTURE_H
#define TESTS_UNIT_IO_NET_CERTIFICATE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char certificate_folder[] = "/tmp/test_tls.XXXXXX";
static char certificate[64]; /* paths of PEM files */
static char certificate_key[64];

/* Runs the program. 0 where it says that all is well. */
static inline int run_openssl(const char *const words[])
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        execvp("openssl", (char *const *)words);
        _exit(127);
    }
    if (pid == -1 || waitpid(pid, &status, 0) != pid)
        return -1;
    return status;
}

/* Makes a certificate that has signed itself, for the subject, as "/CN=agent", and these other names. */
static inline int sign_certificate(const char *subject, const char *names, const char *path,
                                   const char *key_path)
{
    char alternatives[160];

    (void)snprintf(alternatives, sizeof(alternatives), "subjectAltName=%s", names);
    return run_openssl((const char *const[]){
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
        subject, "-addext", alternatives, "-days", "2", "-keyout", key_path, "-out", path, NULL});
}

/* For a group's set-up and tear-down. */
static inline int make_certificate(void **state)
{
    (void)state;
    if (mkdtemp(certificate_folder) == NULL)
        return -1;
    (void)snprintf(certificate, sizeof(certificate), "%s/crt", certificate_folder);
    (void)snprintf(certificate_key, sizeof(certificate_key), "%s/key", certificate_folder);
    return sign_certificate("/CN=agent", "IP:127.0.0.1", certificate, certificate_key);
}

static inline int remove_certificate(void **state)
{
    (void)state;
    unlink(certificate);
    unlink(certificate_key);
    return rmdir(certificate_folder);
}

#endif
