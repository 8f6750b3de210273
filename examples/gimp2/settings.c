#include "settings.h"

#include <string.h>

Settings settings_default(void)
{
    return (Settings){.style = NO_LAYER, .second_style = NO_LAYER, .blend = 50, .output = OUTPUT_REPLACE, .opacity = 100};
}

gboolean settings_copy(char *field, gsize size, const char *text, GError **error)
{
    if (!text)
        text = "";
    if (strlen(text) < size) {
        g_strlcpy(field, text, size);
        return TRUE;
    }
    texts_fail(error, texts_fill(_("This text is too long: “{text}”"), "text", text, NULL));
    return FALSE;
}

static gboolean set_one(const pentimento_plugin *plugin, pentimento_job *job, char *entry, GError **error)
{
    g_strstrip(entry);
    if (!*entry)
        return TRUE;
    char *value = strchr(entry, '=');
    if (!value) {
        texts_fail(error, texts_fill(_("“{text}” is not a setting: write id=value."), "text", entry, NULL));
        return FALSE;
    }
    *value++ = '\0';
    pentimento_error reason = library_error();
    if (plugin->job_set_text(job, g_strchomp(entry), g_strchug(value), &reason) >= 0)
        return TRUE;
    library_fail(error, &reason);
    return FALSE;
}

pentimento_job *settings_job(const pentimento_plugin *plugin, const char *settings, GError **error)
{
    pentimento_error reason = library_error();
    pentimento_job *job = NULL;
    if (plugin->job_create(FILTER, &job, &reason) < 0) {
        library_fail(error, &reason);
        return NULL;
    }
    char **entries = g_strsplit_set(settings, ";\n", -1);
    gboolean all = TRUE;
    for (char **entry = entries; *entry && all; entry++)
        all = set_one(plugin, job, *entry, error);
    g_strfreev(entries);
    if (all)
        return job;
    plugin->job_destroy(job);
    return NULL;
}

char *settings_value(const pentimento_plugin *plugin, const pentimento_job *job, const char *id, GError **error)
{
    const pentimento_presets *presets = library_presets(plugin, error);
    if (!presets)
        return NULL;
    gsize capacity = 256, needed = 0;
    char *value = g_malloc(capacity);
    pentimento_error reason = library_error();
    pentimento_status status = presets->value(job, id, value, capacity, &needed, &reason);
    if (status >= 0 && needed > capacity) {
        value = g_realloc(value, needed);
        status = presets->value(job, id, value, needed, &needed, &reason);
    }
    if (status >= 0)
        return value;
    library_fail(error, &reason);
    g_free(value);
    return NULL;
}
