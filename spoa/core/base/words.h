/* How much two words differ: for the question "did you mean ...?". */
#ifndef SPOA_CORE_BASE_WORDS_H
#define SPOA_CORE_BASE_WORDS_H

/* From this distance on it is another word. */
#define WORDS_FAR 4

/* Edit distance of two short words (at most 31 bytes count). */
unsigned words_distance(const char *a, const char *b);

#endif
