// What a run is asked to do: GIMP 2.10 keeps it between runs as a record without pointers.
#pragma once

#include "library.h"

enum { SETTINGS_FILE_SIZE = 1024, SETTINGS_TEXT_SIZE = 4096 };
// Where no layer is chosen.
enum { NO_LAYER = -1 };
enum { OUTPUT_REPLACE, OUTPUT_NEW_LAYER };

typedef struct {
    gint32 style;                         // a drawable, or NO_LAYER
    char style_file[SETTINGS_FILE_SIZE];  // goes before the drawable; "" for none
    gint32 second_style;
    char second_style_file[SETTINGS_FILE_SIZE];
    double blend;  // share of the second style, 0 to 100
    gint32 output;
    double opacity;                     // 0 to 100
    char settings[SETTINGS_TEXT_SIZE];  // "id=value", separated by semicolons or line ends
} Settings;

Settings settings_default(void);

// Copies a text into a field of a record. Where it does not fit it fails in words, and the field keeps what it holds.
gboolean settings_copy(char *field, gsize size, const char *text, GError **error);

// The value that a parameter has in a job: what was set, or what its preset makes of it, or its default. NULL, with the
// plugin's own words, on failure. The caller frees it.
char *settings_value(const pentimento_plugin *plugin, const pentimento_job *job, const char *id, GError **error);

// A job with the parameters set that `settings` names, or NULL with the plugin's own words for what is wrong.
pentimento_job *settings_job(const pentimento_plugin *plugin, const char *settings, GError **error);
