#include "library.h"

#include <dlfcn.h>

#ifdef __APPLE__
#define LIBRARY_FILE "libpentimento_plugin.dylib"
#else
#define LIBRARY_FILE "libpentimento_plugin.so"
#endif
#define PATH_VARIABLE "PENTIMENTO_PLUGIN_PATH"

// The library at a place that is a file, a folder with the library in it, or a folder of such folders; NULL for none.
static char *find_at(const char *place)
{
    if (g_file_test(place, G_FILE_TEST_IS_REGULAR))
        return g_strdup(place);
    char *direct = g_build_filename(place, LIBRARY_FILE, NULL);
    if (g_file_test(direct, G_FILE_TEST_IS_REGULAR))
        return direct;
    g_free(direct);
    GDir *folder = g_dir_open(place, 0, NULL);
    char *found = NULL;
    for (const char *name; folder && !found && (name = g_dir_read_name(folder));) {
        char *nested = g_build_filename(place, name, LIBRARY_FILE, NULL);
        if (g_file_test(nested, G_FILE_TEST_IS_REGULAR))
            found = nested;
        else
            g_free(nested);
    }
    if (folder)
        g_dir_close(folder);
    return found;
}

// Where to look, best first.
static GPtrArray *places(const char *folder)
{
    GPtrArray *places = g_ptr_array_new_with_free_func(g_free);
    const char *named = g_getenv(PATH_VARIABLE);
    char **listed = g_strsplit(named ? named : "", G_SEARCHPATH_SEPARATOR_S, -1);
    for (char **place = listed; *place; place++)
        if (**place)
            g_ptr_array_add(places, g_strdup(*place));
    g_strfreev(listed);
    g_ptr_array_add(places, g_strdup(folder));
#ifdef __APPLE__
    char *data = g_build_filename(g_get_home_dir(), "Library", "Application Support", NULL);
#else
    char *data = g_strdup(g_get_user_data_dir());
#endif
    g_ptr_array_add(places, g_build_filename(data, "pentimento", "plugins", NULL));
    g_free(data);
    return places;
}

static const pentimento_plugin *open_library(const char *path, GError **error)
{
    // It is never closed: the plugin's threads and texts live as long as the process.
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        texts_fail(error, texts_fill(_("The plugin's library cannot be loaded: {reason}"), "reason", dlerror(), NULL));
        return NULL;
    }
    pentimento_entry_function entry = NULL;
    // C has no conversion from an object's address to a function's; POSIX wants it to be done like this.
    *(void **)&entry = dlsym(library, PENTIMENTO_ENTRY_SYMBOL);
    const pentimento_plugin *plugin = entry ? entry(PENTIMENTO_ABI) : NULL;
    if (plugin && plugin->struct_size >= sizeof *plugin)
        return plugin;
    texts_fail(error, texts_fill(_("{path} is not a library of this version. Install the filter again."), "path", path,
                                 NULL));
    return NULL;
}

const pentimento_plugin *library_load(const char *folder, GError **error)
{
    const pentimento_plugin *loaded = NULL;
    GPtrArray *looked_at = places(folder);
    char *path = NULL;
    GString *list = g_string_new(NULL);
    for (guint i = 0; i < looked_at->len && !path; i++) {
        path = find_at(looked_at->pdata[i]);
        g_string_append_printf(list, "%s    %s", i ? "\n" : "", (char *)looked_at->pdata[i]);
    }
    if (path)
        loaded = open_library(path, error);
    else
        texts_fail(error, texts_fill(_("The plugin's library was not found. It was looked for here:\n{places}\n"
                                       "Run “pentimento install gimp” again, or set {variable} to its folder."),
                                     "places", list->str, "variable", PATH_VARIABLE, NULL));
    g_free(path);
    g_string_free(list, TRUE);
    g_ptr_array_free(looked_at, TRUE);
    return loaded;
}

pentimento_error library_error(void)
{
    return (pentimento_error){.struct_size = sizeof(pentimento_error)};
}

void library_fail(GError **error, const pentimento_error *reason)
{
    g_set_error_literal(error, FAILURE, reason->code, reason->text);
}

gboolean library_filter(const pentimento_plugin *plugin, pentimento_filter *filter, GError **error)
{
    for (guint i = 0; i < plugin->filter_count(); i++) {
        pentimento_error reason = library_error();
        *filter = (pentimento_filter){.struct_size = sizeof *filter};
        if (plugin->describe_filter(i, filter, &reason) < 0) {
            library_fail(error, &reason);
            return FALSE;
        }
        if (g_str_equal(filter->id, FILTER))
            return TRUE;
    }
    texts_fail(error, texts_fill(_("The plugin has no filter “{name}”. Install it again."), "name", FILTER, NULL));
    return FALSE;
}

const pentimento_presets *library_presets(const pentimento_plugin *plugin, GError **error)
{
    const pentimento_presets *presets = plugin->extension(PENTIMENTO_PRESETS_EXTENSION);
    if (!presets)
        g_set_error_literal(error, FAILURE, 0, _("The plugin is of an older version. Install the filter again."));
    return presets;
}
