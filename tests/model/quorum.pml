/*
 * The quorum rule of spoa/core/decision/quorum.c for N Sentinels and AGENTS agents, for spin. README.md says what is left out
 * and why that is sound. Time goes in ticks; all times are ages, so that the state space is finite.
 *
 *   AGENTS 1 or 2      N 3 or 5      F life of a vote, T reply timeout, in ticks (T < F)
 *   RELOAD             the one agent gathers a second set of votes, and uses that one when it names somebody
 *   DOWN_AFTER         Sentinels may say that they have not heard X, which is not named if a majority says so; not with RELOAD
 *   MUTANT_...         one fault put into the rule; each must violate an assertion
 */
#ifndef AGENTS
#define AGENTS 1
#endif
#ifndef N
#define N 3
#endif
#ifndef F
#define F 2
#endif
#ifndef T
#define T 1
#endif

/* Sets of votes: one for each agent, and the next one of a reload. */
#ifdef RELOAD
#define SETS 2
#else
#define SETS AGENTS
#endif

#define Q (N / 2 + 1)
#ifdef MUTANT_HALF
#define THRESHOLD (N / 2)
#else
#define THRESHOLD Q
#endif

/* How many Sentinels must say that they have not heard a master, and whether one that two entries reach counts once. */
#ifdef MUTANT_ONE_SUFFICES
#define SILENCE_THRESHOLD 1
#elif defined(MUTANT_ALL_MUST)
#define SILENCE_THRESHOLD N
#else
#define SILENCE_THRESHOLD Q
#endif
#ifdef MUTANT_TWICE
#define ONCE false
#else
#define ONCE true
#endif

#define NOBODY 0
#define X 1
#define Y 2
#define OTHER(address) (3 - (address))
#define AGED_OUT (F + 1) /* older than anything looks at */
#define FOR_EVER 255

/* Which assertions there are: all, or one by -DONLY_I1 and its like. */
#if !defined(ONLY_I1) && !defined(ONLY_I2) && !defined(ONLY_I3) && !defined(ONLY_I4) && !defined(ONLY_I9) && \
    !defined(ONLY_FALSE_ALARM) && !defined(ONLY_ALARM)
#define ONLY_I1
#define ONLY_I2
#define ONLY_I3
#define ONLY_I4
#define ONLY_I9
#define ONLY_FALSE_ALARM
#define ONLY_ALARM
#endif

/* ---- the world ---- */

byte view[N];  /* whom a Sentinel names now: X or Y */
byte gone[N];  /* ticks since it named the other one; AGED_OUT: long ago, or never */

/* ---- what an agent knows; entry i of agent a is at a * N + i, with RELOAD those of the next set are at N + i ---- */

byte route[SETS * N]; /* the Sentinel that the entry reaches: two may reach one */
byte vote[SETS * N];  /* NOBODY: none, or expired */
byte age[SETS * N];   /* by the rule: ticks since it was asked for */
byte told[SETS * N];  /* the ghost's age: the same as it really is */
#ifdef MUTANT_TRUST_ONE
byte last[SETS]; /* what the newest reply said */
#endif
#ifdef DOWN_AFTER
bool silent[SETS * N]; /* the entry's Sentinel said that it has not heard X */
byte since[SETS * N];  /* by the rule: ticks since it was asked */
byte said[SETS * N];   /* the ghost's age: the same as it really is */
#endif

byte answer[SETS];

byte i, k, a, count, steady, backed, known, before, won; /* scratch; 0 between steps, so no part of the state */

/* Does the vote of this entry count for its Sentinel, of which it may not be the only entry? The first such counts. */
inline count_votes(agent, address)
{
    count = 0;
    for (i : 0 .. N - 1) {
        known = 0;
#ifndef MUTANT_TWICE
        for (k : 0 .. N - 1) {
            if
            :: k < i && route[agent * N + k] == route[agent * N + i] && vote[agent * N + k] == address -> known = 1
            :: else
            fi
        }
#endif
        if
        :: vote[agent * N + i] == address && !known -> count++
        :: else
        fi
    }
}

#ifdef DOWN_AFTER
/* How many Sentinels said, in reply to questions not older than `life`, that they have not heard X. */
inline count_silent(agent, life, once)
{
    count = 0;
    for (i : 0 .. N - 1) {
        known = 0;
        for (k : 0 .. N - 1) {
            if
            :: once && k < i && route[agent * N + k] == route[agent * N + i] && silent[agent * N + k] && said[agent * N + k] < life ->
                known = 1
            :: else
            fi
        }
        if
        :: silent[agent * N + i] && said[agent * N + i] < life && !known -> count++
        :: else
        fi
    }
}

/* X is not named, although the votes name it, while enough Sentinels have not heard it. */
inline judge_silence(agent)
{
    won = answer[agent];
    count_silent(agent, FOR_EVER, ONCE);
    if
    :: answer[agent] == X && count >= SILENCE_THRESHOLD -> answer[agent] = NOBODY
    :: else
    fi
}

/* False alarm: the answer is what the votes say, unless they name X and a majority said within F that it has not heard X. Then it
 * is no name. So a false alarm is over F after it was last said. Alarm: X is not named if a majority said so within F. */
inline check_silence(agent)
{
    count_silent(agent, F, true);
#ifdef ONLY_FALSE_ALARM
    assert(answer[agent] == won || (won == X && answer[agent] == NOBODY && count >= Q));
#endif
#ifdef ONLY_ALARM
    assert(answer[agent] != X || count < Q);
#endif
    won = NOBODY
}
#else
inline judge_silence(agent) { skip }
inline check_silence(agent) { skip }
#endif

inline evaluate(agent)
{
#ifdef MUTANT_TRUST_ONE
    answer[agent] = last[agent];
#else
    answer[agent] = NOBODY;
    count_votes(agent, X);
    if
    :: count >= THRESHOLD -> answer[agent] = X
    :: else
    fi;
    count_votes(agent, Y);
    if
    :: count >= THRESHOLD -> answer[agent] = Y
    :: else
    fi;
    judge_silence(agent)
#endif
}

/* I1: a majority of Sentinels named it at some instants within F. I3: what a majority has named for F is not
 * contradicted. I4: a majority of Sentinels told so, in reply to questions asked within F. */
inline check(agent)
{
    if
    :: answer[agent] != NOBODY ->
        backed = 0;
        steady = 0;
        count = 0;
        for (i : 0 .. N - 1) {
            if
            :: view[i] == answer[agent] || gone[i] < F -> backed++
            :: else
            fi;
            if
            :: view[i] == OTHER(answer[agent]) && gone[i] >= F -> steady++
            :: else
            fi;
            known = 0;
            for (k : 0 .. N - 1) {
                if
                :: route[agent * N + k] == i && vote[agent * N + k] == answer[agent] && told[agent * N + k] < F -> known = 1
                :: else
                fi
            }
            count = count + known
        }
#ifdef ONLY_I1
        assert(backed >= Q);
#endif
#ifdef ONLY_I3
        assert(steady < Q);
#endif
#ifdef ONLY_I4
        assert(count >= Q);
#endif
        skip
    :: else
    fi
}

/* I2: two agents answer differently only while views change. */
inline compare()
{
#if AGENTS == 2 && defined(ONLY_I2)
    if
    :: answer[0] != NOBODY && answer[1] != NOBODY && answer[0] != answer[1] ->
        known = 0;
        for (i : 0 .. N - 1) {
            if
            :: gone[i] < F -> known = 1
            :: else
            fi
        }
        assert(known)
    :: else
    fi
#else
    skip
#endif
}

/* After every step: what all agents would answer now. */
inline answer_all()
{
    for (a : 0 .. AGENTS - 1) {
        evaluate(a);
        check(a);
        check_silence(a)
    }
    compare();
    for (a : 0 .. AGENTS - 1) {
        answer[a] = NOBODY
    }
    i = 0; k = 0; a = 0; count = 0; steady = 0; backed = 0; known = 0
}

/* A reply arrives, to a question that was asked `asked` ticks ago; the Sentinel looked at some instant since. */
inline deliver(agent, entry, asked, address)
{
    if
    :: vote[agent * N + entry] == NOBODY || asked <= told[agent * N + entry] ->
        vote[agent * N + entry] = address;
        told[agent * N + entry] = asked;
#ifdef MUTANT_RECEIPT
        age[agent * N + entry] = 0;
#else
        age[agent * N + entry] = asked;
#endif
#ifdef MUTANT_TRUST_ONE
        last[agent] = address;
#endif
    :: else /* overtaken by the reply to a later question */
    fi
}

#ifdef DOWN_AFTER
inline forget_silence(entry) { silent[entry] = false; since[entry] = 0; said[entry] = 0 }

/* A reply says so, to a question that was asked `asked` ticks ago. */
inline note_silence(entry, asked)
{
    if
    :: !silent[entry] || asked <= said[entry] ->
        silent[entry] = true;
        said[entry] = asked;
#ifdef MUTANT_RECEIPT
        since[entry] = 0
#else
        since[entry] = asked
#endif
    :: else /* overtaken */
    fi
}
#endif

inline tick()
{
    for (i : 0 .. N - 1) {
        gone[i] = (gone[i] < AGED_OUT -> gone[i] + 1 : AGED_OUT)
    }
    for (i : 0 .. SETS * N - 1) {
        if
        :: vote[i] != NOBODY ->
            age[i] = (age[i] < AGED_OUT -> age[i] + 1 : AGED_OUT);
            told[i] = (told[i] < AGED_OUT -> told[i] + 1 : AGED_OUT);
#ifndef MUTANT_NEVER_EXPIRES
            if
            :: age[i] >= F -> vote[i] = NOBODY; age[i] = 0; told[i] = 0
            :: else
            fi
#endif
        :: else
        fi;
#ifdef DOWN_AFTER
        if
        :: silent[i] ->
            since[i] = (since[i] < AGED_OUT -> since[i] + 1 : AGED_OUT);
            said[i] = (said[i] < AGED_OUT -> said[i] + 1 : AGED_OUT);
#ifndef MUTANT_SILENT_FOR_EVER
            if
            :: since[i] >= F -> forget_silence(i)
            :: else
            fi
#endif
        :: else
        fi
#endif
    }
}

/* I9: an agent that named somebody goes on doing so. The next set of votes is a new one each time. */
inline change_over()
{
    evaluate(0);
    before = answer[0];
    evaluate(1);
    if
#ifdef MUTANT_RELOAD_AT_ONCE
    :: true ->
#else
    :: answer[1] != NOBODY ->
#endif
        for (i : 0 .. N - 1) {
#ifdef MUTANT_RELOAD_REDATES
            if
            :: vote[N + i] == NOBODY -> vote[N + i] = vote[i]; told[N + i] = told[i]
            :: else
            fi;
#endif
            route[i] = route[N + i];
            vote[i] = vote[N + i];
            age[i] = age[N + i];
            told[i] = told[N + i];
            vote[N + i] = NOBODY;
            age[N + i] = 0;
            told[N + i] = 0
        }
        evaluate(0);
#ifdef ONLY_I9
        assert(before == NOBODY || answer[0] != NOBODY);
#endif
        skip
    :: else
    fi;
    answer[1] = NOBODY;
    before = 0
}

/* ---- what can happen: one step each ---- */

/* A Sentinel changes its mind, for whatever reason. */
#define CHANGE(sentinel) :: d_step { gone[sentinel] = 0; view[sentinel] = OTHER(view[sentinel]); answer_all() }

/* An agent hears from a Sentinel what it names now, or named `asked` ticks ago or later. What is lost is not heard. */
#define HEAR(agent, entry, asked) \
    :: d_step { deliver(agent, entry, asked, view[route[(agent) * N + entry]]); answer_all() } \
    :: d_step { \
        gone[route[(agent) * N + entry]] <= asked -> \
        deliver(agent, entry, asked, OTHER(view[route[(agent) * N + entry]])); answer_all() }

/* An event says that another is master now, which may be so or not. The rule does not listen. */
#ifdef MUTANT_HINT
#define HINT(agent, entry) \
    :: d_step { \
        vote[(agent) * N + entry] = OTHER(view[route[(agent) * N + entry]]); \
        age[(agent) * N + entry] = 0; \
        told[(agent) * N + entry] = AGED_OUT; /* it was not asked for */ \
        answer_all() \
    }
#else
#define HINT(agent, entry)
#endif

/* A Sentinel that names X also says whether it has heard X. That may change from one reply to the next, with reason or without. */
#ifdef DOWN_AFTER
#define HEAR_SILENCE(agent, entry, asked) \
    :: d_step { \
        view[route[(agent) * N + entry]] == X || gone[route[(agent) * N + entry]] <= asked -> \
        note_silence((agent) * N + entry, asked); answer_all() }
#define HEAR_MASTER(agent, entry) :: d_step { forget_silence((agent) * N + entry); answer_all() }
#else
#define HEAR_SILENCE(agent, entry, asked)
#define HEAR_MASTER(agent, entry)
#endif

#define HEAR_AT(agent, entry, asked) HEAR(agent, entry, asked) HEAR_SILENCE(agent, entry, asked)
#if T == 0
#define HEAR_UP_TO_T(agent, entry) HEAR_AT(agent, entry, 0)
#elif T == 1
#define HEAR_UP_TO_T(agent, entry) HEAR_AT(agent, entry, 0) HEAR_AT(agent, entry, 1)
#else
#define HEAR_UP_TO_T(agent, entry) HEAR_AT(agent, entry, 0) HEAR_AT(agent, entry, 1) HEAR_AT(agent, entry, 2)
#endif

#define ENTRY(agent, entry) HEAR_UP_TO_T(agent, entry) HEAR_MASTER(agent, entry) HINT(agent, entry)

#if N == 5
#define AGENT(agent) ENTRY(agent, 0) ENTRY(agent, 1) ENTRY(agent, 2) ENTRY(agent, 3) ENTRY(agent, 4)
#else
#define AGENT(agent) ENTRY(agent, 0) ENTRY(agent, 1) ENTRY(agent, 2)
#endif

active proctype world()
{
    d_step {
        for (i : 0 .. N - 1) {
            view[i] = X;
            gone[i] = AGED_OUT
        }
        for (i : 0 .. SETS * N - 1) {
            route[i] = i % N
        }
        i = 0
    }
    /* One address may lead to another's Sentinel, for one agent or for both. */
    if
    :: route[1] = 0
    :: skip
    fi;
#if SETS == 2
    if
    :: route[N + 1] = 0
    :: skip
    fi;
#endif
    do
    :: d_step { tick(); answer_all() }
    CHANGE(0)
    CHANGE(1)
    CHANGE(2)
#if N == 5
    CHANGE(3)
    CHANGE(4)
#endif
    AGENT(0)
#if SETS == 2
    AGENT(1)
#endif
#ifdef RELOAD
    :: d_step { change_over(); answer_all() }
#endif
    od
}
