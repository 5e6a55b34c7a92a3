/*
 * The host's name service for the tests of what looks names up. Include it in one file of the program: its
 * getaddrinfo() takes the place of the C library's, so that no question leaves the machine and none takes long.
 * It is called in the resolver's threads, hence the lock.
 */
#ifndef TESTS_UNIT_IO_NET_NAME_SERVICE_H
#define TESTS_UNIT_IO_NET_NAME_SERVICE_H

#include <arpa/inet.h>
#include <dirent.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Set these while nothing is looked up. */
    const char *ipv4[24]; /* NULL ends it */
    const char *ipv6[4];
    int code;               /* EAI_..., 0: the addresses above */
    int both_code;          /* the same for a look-up of both families */
    int ipv4_code;          /* the same for a look-up of IPv4 */
    const char *slow_names; /* names that begin like this are held; "": all; NULL: none */
    bool has_other_family;  /* an address comes first that is neither IPv4 nor IPv6 */
    int only_family;        /* holds what does not ask for this family alone; 0: nothing */
    /* Read these with name_service_count(). */
    unsigned asked;
    unsigned held;
    unsigned running;
    unsigned most_running;
} name_service = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline void name_service_reset(void)
{
    pthread_mutex_lock(&name_service.lock);
    memset(name_service.ipv4, 0, sizeof(name_service.ipv4));
    memset(name_service.ipv6, 0, sizeof(name_service.ipv6));
    name_service.code = 0;
    name_service.both_code = 0;
    name_service.ipv4_code = 0;
    name_service.has_other_family = false;
    name_service.slow_names = NULL;
    name_service.only_family = 0;
    name_service.asked = 0;
    name_service.most_running = name_service.running;
    pthread_cond_broadcast(&name_service.changed);
    pthread_mutex_unlock(&name_service.lock);
}

/* Holds the questions for names that begin with `prefix`. NULL: answers all, also those that are held. */
static inline void name_service_hold(const char *prefix)
{
    pthread_mutex_lock(&name_service.lock);
    name_service.slow_names = prefix;
    pthread_cond_broadcast(&name_service.changed);
    pthread_mutex_unlock(&name_service.lock);
}

static inline unsigned name_service_count(const unsigned *counter)
{
    pthread_mutex_lock(&name_service.lock);
    unsigned count = *counter;
    pthread_mutex_unlock(&name_service.lock);
    return count;
}

/* Waits until so many questions are held. */
static inline void name_service_await_held(unsigned count)
{
    pthread_mutex_lock(&name_service.lock);
    while (name_service.held < count)
        pthread_cond_wait(&name_service.changed, &name_service.lock);
    pthread_mutex_unlock(&name_service.lock);
}

static inline unsigned name_service_count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned count = 0;

    for (const struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;)
        count += task->d_name[0] != '.';
    if (tasks != NULL)
        closedir(tasks);
    return count;
}

/* Waits until no question is asked, and the threads that asked have handed over what they found, and ended. */
static inline void name_service_await_idle(void)
{
    pthread_mutex_lock(&name_service.lock);
    while (name_service.running > 0)
        pthread_cond_wait(&name_service.changed, &name_service.lock);
    pthread_mutex_unlock(&name_service.lock);
    while (name_service_count_threads() > 1)
        (void)poll(NULL, 0, 1);
}

static inline bool name_service_holds(const char *name, int family)
{
    const char *slow = name_service.slow_names;

    return (slow != NULL && strncmp(name, slow, strlen(slow)) == 0) ||
           (name_service.only_family != 0 && family != name_service.only_family);
}

static inline struct addrinfo *name_service_node(int family, const char *text)
{
    struct node {
        struct addrinfo info;
        struct sockaddr_storage address;
    } *node = calloc(1, sizeof(*node));
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};

    if (family == AF_INET) {
        (void)inet_pton(family, text, &ipv4.sin_addr);
        memcpy(&node->address, &ipv4, sizeof(ipv4));
        node->info.ai_addrlen = sizeof(ipv4);
    } else {
        (void)inet_pton(family, text, &ipv6.sin6_addr);
        memcpy(&node->address, &ipv6, sizeof(ipv6));
        node->info.ai_addrlen = sizeof(ipv6);
    }
    node->info.ai_family = family;
    node->info.ai_addr = (struct sockaddr *)&node->address;
    return &node->info;
}

static inline struct addrinfo **name_service_add(struct addrinfo **end, int family, const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        *end = name_service_node(family, *texts);
        end = &(*end)->ai_next;
    }
    return end;
}

static inline int name_service_code(int family)
{
    if (family == AF_UNSPEC && name_service.both_code != 0)
        return name_service.both_code;
    if (family == AF_INET && name_service.ipv4_code != 0)
        return name_service.ipv4_code;
    return name_service.code;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    struct addrinfo **end = result;

    (void)service;
    *result = NULL;
    pthread_mutex_lock(&name_service.lock);
    name_service.asked++;
    if (++name_service.running > name_service.most_running)
        name_service.most_running = name_service.running;
    name_service.held++;
    pthread_cond_broadcast(&name_service.changed);
    while (name_service_holds(name, hints->ai_family))
        pthread_cond_wait(&name_service.changed, &name_service.lock);
    name_service.held--;
    int code = name_service_code(hints->ai_family);
    if (code == 0 && name_service.has_other_family) {
        static const char *const any[] = {"::", NULL};
        end = name_service_add(end, AF_INET6, any);
        (*result)->ai_family = AF_UNIX;
    }
    if (code == 0 && hints->ai_family != AF_INET)
        end = name_service_add(end, AF_INET6, name_service.ipv6);
    if (code == 0 && hints->ai_family != AF_INET6)
        (void)name_service_add(end, AF_INET, name_service.ipv4);
    if (code == 0 && *result == NULL)
        code = EAI_NODATA;
    name_service.running--;
    pthread_cond_broadcast(&name_service.changed);
    pthread_mutex_unlock(&name_service.lock);
    return code;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
void freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

#endif
