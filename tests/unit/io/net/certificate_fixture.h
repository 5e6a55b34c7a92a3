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

/* For a group's set-up and tear-down. */
static inline int make_certificate(void **state)
{
    int status = -1;

    (void)state;
    if (mkdtemp(certificate_folder) == NULL)
        return -1;
    (void)snprintf(certificate, sizeof(certificate), "%s/crt", certificate_folder);
    (void)snprintf(certificate_key, sizeof(certificate_key), "%s/key", certificate_folder);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("openssl", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-subj", "/CN=agent", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
               "-keyout", certificate_key, "-out", certificate, (char *)NULL);
        _exit(127);
    }
    if (pid == -1 || waitpid(pid, &status, 0) != pid)
        return -1;
    return status;
}

static inline int remove_certificate(void **state)
{
    (void)state;
    unlink(certificate);
    unlink(certificate_key);
    return rmdir(certificate_folder);
}

#endif
