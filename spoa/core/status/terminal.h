/* The status in a terminal: its lines in colour, and a screen that is drawn again in place. Pure: text in, text out. */
#ifndef SPOA_CORE_STATUS_TERMINAL_H
#define SPOA_CORE_STATUS_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

struct text;

/* What a terminal must do before and after. */
#define TERMINAL_HIDE_CURSOR "\033[?25l"
#define TERMINAL_SHOW_CURSOR "\033[?25h"

struct terminal_look {
    bool has_colours;
    size_t new_lines; /* the lines behind them are old and dimmed; SIZE_MAX: none is */
    size_t
        columns; /* of the screen that is drawn again; 0: the text is not wrapped and goes where the cursor is */
    size_t rows; /* at least 1, with `columns` */
};

/*
 * Appends `text` as the terminal shows it. A line that begins with a mark (tone_mark()) has the colour of its mark. Of a
 * line that is indented only the mark has it. A screen is filled from its first line on, and what is left of the screen
 * is cleared. Lines that are too long are wrapped. Where the rows are too few, the last one says how many are left out.
 * Control bytes in the text are shown as '?'.
 */
void terminal_paint(struct text *out, const struct terminal_look *look, const char *text);

#endif
