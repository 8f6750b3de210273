#include "texts.h"

#include <libintl.h>
#include <stdarg.h>
#include <string.h>

void texts_init(const char *catalogues)
{
    bindtextdomain(TEXTS_DOMAIN, catalogues);
    bind_textdomain_codeset(TEXTS_DOMAIN, "UTF-8");
}

const char *texts_translated(const char *text)
{
    // The empty text is the key of a catalogue's own head.
    return *text ? dgettext(TEXTS_DOMAIN, text) : text;
}

// The end of the place that begins with `{name`, or NULL where there is none.
static const char *place_end(const char *text, const char *name)
{
    gsize length = strlen(name);
    if (*text != '{' || strncmp(text + 1, name, length) != 0)
        return NULL;
    const char *after = text + 1 + length;
    const char *end = *after == ':' || *after == '}' ? strchr(after, '}') : NULL;
    return end ? end + 1 : NULL;
}

// Appends the value of the place that the text begins with, or else the text's first byte; where it goes on.
static const char *fill_one(GString *filled, const char *text, va_list values)
{
    const char *end = NULL;
    for (const char *name; !end && (name = va_arg(values, const char *));) {
        const char *value = va_arg(values, const char *);
        end = place_end(text, name);
        if (end)
            g_string_append(filled, value);
    }
    if (end)
        return end;
    g_string_append_c(filled, *text);
    return text + 1;
}

char *texts_fill(const char *text, ...)
{
    GString *filled = g_string_new(NULL);
    for (const char *rest = text; *rest;) {
        va_list values;
        va_start(values, text);
        rest = fill_one(filled, rest, values);
        va_end(values);
    }
    return g_string_free(filled, FALSE);
}

void texts_fail(GError **error, char *words)
{
    g_set_error_literal(error, FAILURE, 0, words);
    g_free(words);
}
