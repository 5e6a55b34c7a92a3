/* A module of the name service, libnss_spoatest.so.2: it knows one name, module.test, which is 127.0.0.1. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <nss.h>
#include <string.h>

enum nss_status _nss_spoatest_gethostbyname2_r(const char *name, int family, struct hostent *result,
                                               char *buffer, size_t len, int *error, int *host_error);

enum nss_status _nss_spoatest_gethostbyname2_r(const char *name, int family, struct hostent *result,
                                               char *buffer, size_t len, int *error, int *host_error)
{
    struct answer {
        struct in_addr address;
        char *addresses[2];
        char *aliases[1];
    } *answer = (void *)(buffer + (-(size_t)buffer & (_Alignof(struct answer) - 1)));

    if (family != AF_INET || strcmp(name, "module.test") != 0) {
        *host_error = HOST_NOT_FOUND;
        return NSS_STATUS_NOTFOUND;
    }
    if ((char *)(answer + 1) > buffer + len) {
        *error = ERANGE;
        *host_error = NETDB_INTERNAL;
        return NSS_STATUS_TRYAGAIN;
    }
    answer->address.s_addr = htonl(INADDR_LOOPBACK);
    answer->addresses[0] = (char *)&answer->address;
    answer->addresses[1] = NULL;
    answer->aliases[0] = NULL;
    *result = (struct hostent){.h_name = (char *)name,
                               .h_aliases = answer->aliases,
                               .h_addrtype = AF_INET,
                               .h_length = sizeof(answer->address),
                               .h_addr_list = answer->addresses};
    return NSS_STATUS_SUCCESS;
}
