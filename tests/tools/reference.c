/* reference PATH: the document on stdout, with the keys as their table has them. `make docs` runs it. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/reference.h"

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && reference_path(i) != NULL; i++) {
        if (strcmp(reference_path(i), argv[1]) != 0)
            continue;
        FILE *in = fopen(argv[1], "re");
        bool is_whole = in != NULL && reference_write(i, in, stdout) && fflush(stdout) == 0;
        if (in != NULL)
            (void)fclose(in);
        if (!is_whole)
            fprintf(stderr, "%s: a mark is missing where the keys of a section begin or end\n", argv[1]);
        return is_whole ? 0 : 1;
    }
    return 2;
}
