/*
 * sim [--runs N] [--seed S] [--only INVARIANT] [--verbose]
 *
 * Runs N random scripts, of the seeds S to S+N-1 (1 to 20000 by default). With --seed alone: that one.
 * --only checks one invariant of ghost.h, by the beginning of its name: so mutants.sh tests each of them.
 * Exit status 0: no violation; 1: the first violation is printed; 2: bad command line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

/* So many scripts must have had something for every check to check. */
#define RUNS_TO_COVER 2000

struct options {
    uint64_t first_seed;
    uint64_t runs;
    bool verbose;
    const char *only;
};

static bool read_number(const char *text, uint64_t *ret_number)
{
    char *end = NULL;

    if (text == NULL || *text < '0' || *text > '9')
        return false;
    *ret_number = strtoull(text, &end, 10);
    return *end == '\0';
}

static bool read_options(char **arguments, struct options *options)
{
    bool has_runs = false;
    bool has_seed = false;

    for (char **at = arguments; *at != NULL; at++) {
        if (strcmp(*at, "--verbose") == 0)
            options->verbose = true;
        else if (strcmp(*at, "--runs") == 0 && read_number(at[1], &options->runs))
            has_runs = ++at != NULL;
        else if (strcmp(*at, "--seed") == 0 && read_number(at[1], &options->first_seed))
            has_seed = ++at != NULL;
        else if (strcmp(*at, "--only") == 0 && at[1] != NULL)
            options->only = *++at;
        else
            return false;
    }
    if (has_seed && !has_runs)
        options->runs = 1;
    return true;
}

/* A check that never met its condition proves nothing. */
static bool is_covered(const struct sim_counts *counts)
{
    return counts->named_by[VOTER_SOURCE_SENTINEL] > 0 && counts->named_by[VOTER_SOURCE_REPLICATION] > 0 &&
           counts->named_by[VOTER_SOURCE_CLUSTER] > 0 && counts->compared > 0 && counts->steady > 0 &&
           counts->barred > 0 && counts->owed > 0 && counts->owed_soon > 0 && counts->owed_links > 0 &&
           counts->owed_silences > 0 && counts->vetoes > 0 && counts->downs > 0 && counts->witnessed > 0 &&
           counts->kept > 0 && counts->fenced > 0 && counts->leaving > 0 && counts->silenced > 0 &&
           counts->parked > 0 && counts->released > 0 && counts->doubted > 0 && counts->silences > 0 &&
           counts->distrusted > 0 && counts->told_doubts > 0 && counts->outages > 0 && counts->reloads > 0 &&
           counts->change_overs > 0 && counts->mixed > 0 && counts->mixed_switches > 0 &&
           counts->moved_by_force > 0 && counts->reloads_meanwhile > 0 && counts->kept_probes > 0 &&
           counts->moved > 0 && counts->shut > 0 && counts->shut_old > 0 && counts->shut_late > 0;
}

static void print_counts(const struct sim_counts *counts)
{
    printf("sim: %" PRIu64 " answers named a master (%" PRIu64 " by replication, %" PRIu64
           " by cluster), %" PRIu64 " against a steady majority (I3), %" PRIu64
           " pairs differed (I2), %" PRIu64 " soon after a dissent (barrier), %" PRIu64
           " were due by poll, %" PRIu64 " by push, %" PRIu64 " links were due, %" PRIu64
           " silent masters (I7)\n",
           counts->named, counts->named_by[VOTER_SOURCE_REPLICATION], counts->named_by[VOTER_SOURCE_CLUSTER],
           counts->steady, counts->compared, counts->barred, counts->owed, counts->owed_soon,
           counts->owed_links, counts->owed_silences);
    printf("sim: %" PRIu64 " answers withheld because a node said that it is no master (I6), %" PRIu64
           " because a majority said that it is down, %" PRIu64 " witnessed, %" PRIu64 " kept, %" PRIu64
           " fences (%" PRIu64 " before the failover, %" PRIu64 " of a silent master)\n",
           counts->vetoes, counts->downs, counts->witnessed, counts->kept, counts->fenced, counts->leaving,
           counts->silenced);
    printf("sim: %" PRIu64 " questions had to wait, %" PRIu64 " of them were answered, %" PRIu64
           " links to nodes broke or fell silent (%" PRIu64 "), %" PRIu64 " waited for that, %" PRIu64
           " were told of the doubt\n",
           counts->parked, counts->released, counts->doubted, counts->silences, counts->distrusted,
           counts->told_doubts);
    printf("sim: %" PRIu64 " reloads, of which %" PRIu64 " took over (I9), with %" PRIu64
           " probes that they kept; %" PRIu64 " answers while services moved one after another, %" PRIu64
           " switches then, %" PRIu64 " services moved by force, %" PRIu64
           " reloads were asked for meanwhile\n",
           counts->reloads, counts->change_overs, counts->kept_probes, counts->mixed, counts->mixed_switches,
           counts->moved_by_force, counts->reloads_meanwhile);
    printf("sim: %" PRIu64 " sessions, of which %" PRIu64 " were cut (I8), %" PRIu64
           " by an old process of HAProxy, %" PRIu64 " late; %" PRIu64 " rounds of cuts, %" PRIu64
           " of them over a reload\n",
           counts->sessions, counts->shut, counts->shut_old, counts->shut_late, counts->rounds,
           counts->moved);
}

int main(int argc, char **argv)
{
    static struct world world;
    struct options options = {.first_seed = 1, .runs = 20000};

    if (argc < 1 || !read_options(argv + 1, &options)) {
        (void)fprintf(stderr, "usage: sim [--runs N] [--seed S] [--only INVARIANT] [--verbose]\n");
        return 2;
    }
    world.verbose = options.verbose;
    world.only = options.only;
    for (uint64_t i = 0; i < options.runs; i++)
        if (!world_run(&world, options.first_seed + i)) {
            printf("sim: replay with: sim --seed %" PRIu64 " --verbose\n", world.seed);
            return 1;
        }
    print_counts(&world.counts);
    if (options.runs >= RUNS_TO_COVER && !is_covered(&world.counts)) {
        printf("sim: some check never had anything to check\n");
        return 1;
    }
    printf("sim: %" PRIu64 " scripts, %" PRIu64 " answers, 0 violations (seeds %" PRIu64 "..%" PRIu64 ")\n",
           options.runs, world.counts.answers, options.first_seed, options.first_seed + options.runs - 1);
    return 0;
}
