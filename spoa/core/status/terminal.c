#include "spoa/core/status/terminal.h"

#include <string.h>

#include "proto/span.h"
#include "spoa/core/base/text.h"
#include "spoa/core/status/sentences.h"

#define HOME "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"
#define BOLD "\033[1m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

/* A line goes on so far from the left, where the screen is wide enough. */
#define CONTINUED ((size_t)8)

/* The text of a painting, and where it is. */
struct painting {
    struct text *out;
    const struct terminal_look *look;
    size_t line; /* of the text */
    size_t row;  /* of the screen */
    size_t rows; /* of the screen that may have text: less than it has where lines are left out */
};

static bool is_first_byte(uint8_t byte)
{
    return (byte & 0xc0) != 0x80; /* of a character in UTF-8 */
}

static size_t skip_blanks(struct span text)
{
    size_t len = 0;

    while (len < text.len && text.data[len] == ' ')
        len++;
    return len;
}

/* How many bytes of `text` fit into so many columns: as many words as possible, or a part of the first one. */
static size_t fit(struct span text, size_t columns)
{
    size_t blank = 0; /* behind the last word that fits */
    size_t used = 0;
    size_t i = 0;

    for (; i < text.len; i++) {
        if (text.data[i] == ' ' && i > skip_blanks(text))
            blank = i;
        if (is_first_byte(text.data[i]) && used++ == columns)
            break;
    }
    return i == text.len || blank == 0 ? i : blank;
}

/* Takes from `line` what the next row has, and tells how far it is indented. */
static struct span take_row(struct span *line, size_t columns, bool is_first, size_t *ret_indent)
{
    *ret_indent = !is_first && columns > 2 * CONTINUED ? CONTINUED : 0;
    struct span row = span_of(line->data, columns > 0 ? fit(*line, columns - *ret_indent) : line->len);
    struct span rest = span_of(line->data + row.len, line->len - row.len);
    size_t blanks = skip_blanks(rest);

    *line = span_of(rest.data + blanks, rest.len - blanks);
    return row;
}

static struct span take_line(struct span *text)
{
    const void *end = memchr(text->data, '\n', text->len);
    size_t len = end != NULL ? (size_t)((const uint8_t *)end - text->data) : text->len;
    struct span line = span_of(text->data, len);

    len += end != NULL;
    *text = span_of(text->data + len, text->len - len);
    return line;
}

static size_t count_rows(const struct terminal_look *look, struct span text)
{
    size_t rows = 0;
    size_t indent;

    while (text.len > 0) {
        struct span line = take_line(&text);
        bool is_first = true;
        do {
            (void)take_row(&line, look->columns, is_first, &indent);
            is_first = false;
            rows++;
        } while (line.len > 0);
    }
    return rows;
}

/* The colour of the mark with which `text` begins; NULL: there is none. Its bytes go to `ret_len`. */
static const char *find_colour(struct span text, size_t *ret_len)
{
    static const char *const colours[] = {
        [TONE_GOOD] = "\033[32m", [TONE_WAIT] = "\033[33m", [TONE_BAD] = "\033[31m"};

    for (enum tone tone = TONE_GOOD; tone <= TONE_BAD; tone++) {
        *ret_len = strlen(tone_mark(tone));
        if (text.len >= *ret_len && memcmp(text.data, tone_mark(tone), *ret_len) == 0)
            return colours[tone];
    }
    *ret_len = 0;
    return NULL;
}

static void add_safe(struct text *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        text_add_bytes(out, text.data[i] < ' ' || text.data[i] == 0x7f ? "?" : (const char *)&text.data[i],
                       1);
}

static void add_in_colour(struct painting *painting, struct span row, const char *colour)
{
    if (colour == NULL) {
        add_safe(painting->out, row);
        return;
    }
    text_add(painting->out, colour);
    add_safe(painting->out, row);
    text_add(painting->out, PLAIN);
}

/* The first row of a line that is indented: only its mark has a colour. */
static void add_marked(struct painting *painting, struct span row)
{
    size_t blanks = skip_blanks(row);
    size_t mark;
    const char *colour = find_colour(span_of(row.data + blanks, row.len - blanks), &mark);

    add_safe(painting->out, span_of(row.data, blanks));
    add_in_colour(painting, span_of(row.data + blanks, mark), colour);
    add_safe(painting->out, span_of(row.data + blanks + mark, row.len - blanks - mark));
}

/* Begins a row. False where the screen has no more. */
static bool begin_row(struct painting *painting)
{
    if (painting->look->columns == 0)
        return true;
    if (painting->row == painting->rows)
        return false;
    text_add(painting->out, painting->row++ > 0 ? "\n" CLEAR_LINE : CLEAR_LINE);
    return true;
}

static void paint_row(struct painting *painting, struct span row, bool is_first, const char *colour)
{
    bool is_old = painting->line >= painting->look->new_lines;

    if (!painting->look->has_colours || (!is_old && colour == NULL && !is_first)) {
        add_safe(painting->out, row);
    } else if (is_old) {
        add_in_colour(painting, row, DIM);
    } else if (colour != NULL && row.len > 0) {
        text_add(painting->out, BOLD);
        add_in_colour(painting, row, colour);
    } else {
        add_marked(painting, row);
    }
}

static void paint_line(struct painting *painting, struct span line)
{
    size_t ignored;
    const char *colour = find_colour(line, &ignored);
    bool is_title = colour == NULL && line.len > 0 && line.data[0] != ' ';
    bool is_first = true;

    do {
        size_t indent;
        struct span row = take_row(&line, painting->look->columns, is_first, &indent);
        if (!begin_row(painting))
            return;
        for (size_t i = 0; i < indent; i++)
            text_add(painting->out, " ");
        paint_row(painting, row, is_first, is_title ? "" : colour);
        is_first = false;
    } while (line.len > 0);
    if (painting->look->columns == 0)
        text_add(painting->out, "\n");
}

void terminal_paint(struct text *out, const struct terminal_look *look, const char *text)
{
    struct span left = span_of_text(text);
    size_t rows = look->columns > 0 ? count_rows(look, left) : 0;
    bool is_too_long = rows > look->rows && look->columns > 0;
    struct painting painting = {.out = out, .look = look, .rows = is_too_long ? look->rows - 1 : look->rows};

    text_add(out, look->columns > 0 ? HOME : "");
    for (; left.len > 0; painting.line++)
        paint_line(&painting, take_line(&left));
    if (is_too_long)
        text_printf(out, "%s" CLEAR_LINE "%zu lines more: this window is too low",
                    painting.rows > 0 ? "\n" : "", rows - painting.rows);
    else if (look->columns > 0)
        text_add(out, painting.row == look->rows ? "" : painting.row > 0 ? "\n" CLEAR_BELOW : CLEAR_BELOW);
}
