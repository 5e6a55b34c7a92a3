/* Writes what the documentation says of the keywords, from their table. */
#ifndef TESTS_LIB_REFERENCE_H
#define TESTS_LIB_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The path of a document that has the keywords, from the top of the tree. NULL behind the last one. */
const char *reference_path(size_t index);

/*
 * Copies a document, with the keys of each section as the table has them. The lines where they begin and end stay.
 * False if a section does not begin exactly once, or does not end.
 */
bool reference_write(size_t index, FILE *in, FILE *out);

#endif
