// Pentimento in GIMP 2.10: a host of the plugin whose library lies beside this program.
//
// This file registers the procedure and reads what it is called with. What it needs lies in files of one idea each: the
// plugin (`library`), its parameters (`settings`, `controls`), layers (`canvas`, `picture`), styles (`styles`,
// `chooser`), the worker thread (`rendering`), the windows (`dialog`, `preview`, `progress`) and what leads from one to
// the next (`session`).
//
// GIMP's own Cancel kills a plug-in at once, so a render has a window of its own; the image is touched at the very end
// only, and a kill at any moment leaves it as it was.

#include <gegl.h>

#include "session.h"

#define PROCEDURE "plug-in-pentimento-" FILTER
#define AUTHORS "Pentimento"

// The arguments by their places.
enum { RUN_MODE, IMAGE, DRAWABLE, STYLE, STYLE_FILE, SECOND_STYLE, SECOND_STYLE_FILE, BLEND, OUTPUT, OPACITY, SETTINGS,
       ARGUMENT_COUNT };

// The folder of this program.
static char *folder;

static void query(void)
{
    const GimpParamDef arguments[ARGUMENT_COUNT] = {
        {GIMP_PDB_INT32, "run-mode", "RUN-INTERACTIVE (0), RUN-NONINTERACTIVE (1) or RUN-WITH-LAST-VALS (2)"},
        {GIMP_PDB_IMAGE, "image", "The image"},
        {GIMP_PDB_DRAWABLE, "drawable", "The layer to paint on"},
        {GIMP_PDB_INT32, "style", "The layer whose manner the picture takes on, or -1"},
        {GIMP_PDB_STRING, "style-file", "A picture file to take the style from, in place of a layer, or \"\""},
        {GIMP_PDB_INT32, "second-style", "The layer of a second style, or -1"},
        {GIMP_PDB_STRING, "second-style-file", "A picture file of a second style, or \"\""},
        {GIMP_PDB_FLOAT, "blend", "The share of the second style (0 to 100 %)"},
        {GIMP_PDB_INT32, "output", "Where the picture goes: it replaces the layer (0), or is a new layer above it (1)"},
        {GIMP_PDB_FLOAT, "opacity", "How much of the picture covers what was there (0 to 100 %)"},
        {GIMP_PDB_STRING, "settings", "What differs from the defaults: \"id=value\", separated by semicolons"},
    };
    // A library that is missing is told of when the menu item is used, together with where it was looked for.
    const pentimento_plugin *plugin = library_load(folder, NULL);
    pentimento_filter filter;
    if (!plugin || !library_filter(plugin, &filter, NULL))
        filter = (pentimento_filter){.label = "Pentimento", .menu = "Filters/Artistic", .help = ""};
    // GIMP translates what it shows of a procedure by itself.
    char *catalogues = g_build_filename(folder, "locale", NULL);
    gimp_plugin_domain_register(TEXTS_DOMAIN, catalogues);
    g_free(catalogues);
    char *label = g_strdup_printf("_%s…", filter.label), *menu = g_strdup_printf("<Image>/%s", filter.menu);
    gimp_install_procedure(PROCEDURE, filter.help, filter.help, AUTHORS, AUTHORS, "2026", label,
                           // Indexed images too: they get a sentence that says what to do.
                           "RGB*, GRAY*, INDEXED*", GIMP_PLUGIN, G_N_ELEMENTS(arguments), 0, arguments, NULL);
    gimp_plugin_menu_register(PROCEDURE, menu);
    g_free(label);
    g_free(menu);
}

static gboolean check_range(const char *name, double value, double low, double high, GError **error)
{
    if (value >= low && value <= high)
        return TRUE;
    char *given = g_strdup_printf("%g", value), *from = g_strdup_printf("%g", low), *to = g_strdup_printf("%g", high);
    texts_fail(error, texts_fill(_("{name} is {value}: it must be from {low} to {high}."), "name", name, "value", given,
                                 "low", from, "high", to, NULL));
    g_free(given);
    g_free(from);
    g_free(to);
    return FALSE;
}

// What a script asks for.
static gboolean read_arguments(const GimpParam *arguments, gint count, Settings *settings, GError **error)
{
    if (count != ARGUMENT_COUNT) {
        g_set_error(error, FAILURE, 0, PROCEDURE " takes %d arguments, not %d.", ARGUMENT_COUNT, count);
        return FALSE;
    }
    settings->style = arguments[STYLE].data.d_int32;
    settings->second_style = arguments[SECOND_STYLE].data.d_int32;
    settings->blend = arguments[BLEND].data.d_float;
    settings->output = arguments[OUTPUT].data.d_int32;
    settings->opacity = arguments[OPACITY].data.d_float;
    return check_range("blend", settings->blend, 0, 100, error) &&
           check_range("output", settings->output, OUTPUT_REPLACE, OUTPUT_NEW_LAYER, error) &&
           check_range("opacity", settings->opacity, 0, 100, error) &&
           settings_copy(settings->style_file, SETTINGS_FILE_SIZE, arguments[STYLE_FILE].data.d_string, error) &&
           settings_copy(settings->second_style_file, SETTINGS_FILE_SIZE, arguments[SECOND_STYLE_FILE].data.d_string,
                         error) &&
           settings_copy(settings->settings, SETTINGS_TEXT_SIZE, arguments[SETTINGS].data.d_string, error);
}

static void run(const gchar *name, gint count, const GimpParam *arguments, gint *value_count, GimpParam **values)
{
    static GimpParam returned[2];
    (void)name;
    *values = returned;
    *value_count = 1;
    returned[0].type = GIMP_PDB_STATUS;
    gegl_init(NULL, NULL);
    GimpRunMode run_mode = (GimpRunMode)arguments[RUN_MODE].data.d_int32;
    Settings settings = settings_default();
    GError *error = NULL;
    gboolean painted = FALSE;
    if (run_mode != GIMP_RUN_NONINTERACTIVE) {
        // What was kept by another version of this program is not read.
        if (gimp_get_data_size(PROCEDURE) == sizeof settings)
            gimp_get_data(PROCEDURE, &settings);
    } else {
        read_arguments(arguments, count, &settings, &error);
    }
    if (!error)
        painted = session_run(folder, run_mode, arguments[DRAWABLE].data.d_drawable, &settings, &error);
    if (painted && run_mode == GIMP_RUN_INTERACTIVE)
        gimp_set_data(PROCEDURE, &settings, sizeof settings);
    returned[0].data.d_status = painted ? GIMP_PDB_SUCCESS : error ? GIMP_PDB_EXECUTION_ERROR : GIMP_PDB_CANCEL;
    if (error) {
        *value_count = 2;
        returned[1].type = GIMP_PDB_STRING;
        returned[1].data.d_string = error->message;
    }
}

int main(int argc, char *argv[])
{
    const GimpPlugInInfo procedures = {.query_proc = query, .run_proc = run};
    folder = g_path_get_dirname(argv[0]);
    char *catalogues = g_build_filename(folder, "locale", NULL);
    texts_init(catalogues);
    g_free(catalogues);
    return gimp_main(&procedures, argc, argv);
}
