#include "session.h"

#include <libgimp/gimpui.h>

#include "dialog.h"
#include "progress.h"

typedef struct {
    const pentimento_filter *filter;
    gint32 layer;
    const Settings *settings;
    GMainLoop *loop;
    ProgressWindow *window;  // NULL without windows
    Picture *painted;
    GError *failure;
} Session;

static void on_report(const Report *report, gpointer data)
{
    Session *session = data;
    if (session->window)
        progress_window_show(session->window, report);
    else
        gimp_progress_update(report->fraction);
}

static void on_end(Outcome *outcome, gpointer data)
{
    Session *session = data;
    for (guint i = 0; i < outcome->warnings->len; i++)
        g_message("%s", (const char *)outcome->warnings->pdata[i]);
    session->painted = g_steal_pointer(&outcome->painted);
    session->failure = g_steal_pointer(&outcome->failure);
    g_main_loop_quit(session->loop);
}

// Renders on a thread while this one runs the main loop.
static void render(Session *session, const pentimento_plugin *plugin, Picture *content, const Styles *styles,
                   gboolean has_windows)
{
    const char *label = _(session->filter->label);
    Watch watch = {.reported = on_report, .ended = on_end, .data = session};
    if (has_windows) {
        char *name = gimp_item_get_name(session->layer);
        char *title = g_strdup_printf("%s: %s", label, name);
        session->window = progress_window_new(title);
        g_free(title);
        g_free(name);
    } else {
        gimp_progress_init(label);
    }
    session->loop = g_main_loop_new(NULL, FALSE);
    Rendering *rendering = rendering_start(plugin, session->settings->settings, content, styles, &watch);
    if (session->window)
        progress_window_watch(session->window, rendering);
    g_main_loop_run(session->loop);
    g_main_loop_unref(session->loop);
    if (session->window)
        progress_window_destroy(session->window);
}

// GIMP was in use all the while.
static gboolean deliver(Session *session, GError **error)
{
    if (!canvas_check(session->layer, error))
        return FALSE;
    const pentimento_image *painted = &session->painted->image;
    gboolean resized = gimp_drawable_width(session->layer) != (gint)painted->width ||
                       gimp_drawable_height(session->layer) != (gint)painted->height;
    if (resized)
        g_message("%s", _("The layer was resized while it was being painted. The picture is in a layer of its own."));
    gboolean done = TRUE;
    if (resized || session->settings->output == OUTPUT_NEW_LAYER) {
        char *styles = styles_name(session->settings);
        char *name = g_strdup_printf("%s: %s", _(session->filter->label), styles);
        canvas_add_layer(session->layer, session->painted, session->settings->opacity, name);
        g_free(name);
        g_free(styles);
    } else {
        done = canvas_replace(session->layer, session->painted, session->settings->opacity, error);
    }
    gimp_displays_flush();
    return done;
}

static gboolean paint(const pentimento_plugin *plugin, const pentimento_filter *filter, gint32 layer,
                      const Settings *settings, gboolean has_windows, GError **error)
{
    Session session = {.filter = filter, .layer = layer, .settings = settings};
    Picture *content = canvas_read(layer, 0, error);
    Styles styles = {.count = 0};
    if (content && styles_read(settings, layer, 0, &styles, error))
        render(&session, plugin, content, &styles, has_windows);
    picture_unref(content);
    styles_clear(&styles);
    if (session.failure)
        g_propagate_error(error, session.failure);
    gboolean delivered = session.painted && deliver(&session, error);
    picture_unref(session.painted);
    return delivered;
}

gboolean session_run(const char *folder, GimpRunMode run_mode, gint32 layer, Settings *settings, GError **error)
{
    gboolean has_windows = run_mode != GIMP_RUN_NONINTERACTIVE;
    if (!canvas_check(layer, error))
        return FALSE;
    const pentimento_plugin *plugin = library_load(folder, error);
    pentimento_filter filter;
    if (!plugin || !library_filter(plugin, &filter, error))
        return FALSE;
    if (has_windows) {
        gimp_ui_init("pentimento", FALSE);
        styles_suggest(settings, layer);
    }
    gboolean agreed = run_mode != GIMP_RUN_INTERACTIVE || dialog_ask(plugin, &filter, layer, settings, error);
    gboolean painted = agreed && paint(plugin, &filter, layer, settings, has_windows, error);
    rendering_finish_all();
    return painted;
}
