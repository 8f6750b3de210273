// What people read: in their language, with names and numbers filled in. The catalogues are those of all editors,
// examples/locale, so a text that another bridge has is written as it is there.
#pragma once

#include <glib.h>

// The name of the catalogues.
#define TEXTS_DOMAIN "pentimento"

// What the user is told: the domain of all errors of this bridge.
#define FAILURE g_quark_from_static_string("pentimento")

// A text in the user's language, by the catalogues that `texts_init` was told of. A text without a translation comes
// back as it is.
#define _(text) texts_translated(text)

void texts_init(const char *catalogues);
const char *texts_translated(const char *text);

// The text with each {name}, and {name:of any format}, replaced by the value that follows the name among the
// arguments, which end with NULL. The caller frees it.
char *texts_fill(const char *text, ...) G_GNUC_NULL_TERMINATED;

// Tells a failure in words that it owns from then on.
void texts_fail(GError **error, char *words);
