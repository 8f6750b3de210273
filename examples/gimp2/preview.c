#include "preview.h"

#include "progress.h"

enum { SIDE = 320, REST_MILLISECONDS = 400 };

struct Preview {
    const pentimento_plugin *plugin;
    const Settings *settings;
    gint32 layer;
    pentimento_size layer_size;
    Picture *original;
    GdkPixbuf *original_shown, *painted_shown;
    Rendering *rendering;
    guint waiting;
    GtkWidget *box, *picture, *state, *cost;
};

static void show_original(Preview *preview)
{
    gtk_image_set_from_pixbuf(GTK_IMAGE(preview->picture), preview->original_shown);
}

// Takes over `painted`.
static void show_painted(Preview *preview, GdkPixbuf *painted)
{
    if (preview->painted_shown)
        g_object_unref(preview->painted_shown);
    preview->painted_shown = painted;
    gtk_image_set_from_pixbuf(GTK_IMAGE(preview->picture), painted);
}

static void on_estimate(const pentimento_estimate *estimate, const char *failure, gpointer data)
{
    Preview *preview = data;
    char *time = progress_duration(estimate->seconds);
    char *memory = g_strdup_printf("%.1f", (double)estimate->bytes / 1e9);
    char *words = failure ? g_strdup(failure)
                          : texts_fill(_("Render will take about {time} and {memory:.1f} GB of memory."), "time", time,
                                       "memory", memory, NULL);
    gtk_label_set_text(GTK_LABEL(preview->cost), words);
    g_free(words);
    g_free(memory);
    g_free(time);
}

static void on_report(const Report *report, gpointer data)
{
    if (report->picture)
        show_painted(data, picture_scaled(g_object_ref(report->picture), SIDE));
}

static void on_end(Outcome *outcome, gpointer data)
{
    Preview *preview = data;
    preview->rendering = NULL;
    GdkPixbuf *painted = outcome->painted ? picture_pixbuf(outcome->painted, SIDE) : NULL;
    if (painted)
        show_painted(preview, painted);
    gtk_label_set_text(GTK_LABEL(preview->state), outcome->failure
                                                      ? outcome->failure->message
                                                      : _("Preview. Press and hold to see the original."));
}

static void give_up(Preview *preview)
{
    if (preview->rendering)
        rendering_abandon(preview->rendering);
    preview->rendering = NULL;
    if (preview->waiting)
        g_source_remove(preview->waiting);
    preview->waiting = 0;
}

static gboolean start(gpointer data)
{
    Preview *preview = data;
    Styles styles;
    GError *error = NULL;
    preview->waiting = 0;
    if (!styles_read(preview->settings, preview->layer, CANVAS_PREVIEW_SIDE, &styles, &error)) {
        gtk_label_set_text(GTK_LABEL(preview->state), error->message);
        gtk_label_set_text(GTK_LABEL(preview->cost), "");
        g_error_free(error);
        return G_SOURCE_REMOVE;
    }
    gtk_label_set_text(GTK_LABEL(preview->state), _("Painting the preview…"));
    Watch watch = {.estimated = on_estimate, .reported = on_report, .ended = on_end, .data = preview,
                   .canvas_size = preview->layer_size};
    preview->rendering =
        rendering_start(preview->plugin, preview->settings->settings, preview->original, &styles, &watch);
    styles_clear(&styles);
    return G_SOURCE_REMOVE;
}

void preview_restart(Preview *preview)
{
    give_up(preview);
    preview->waiting = g_timeout_add(REST_MILLISECONDS, start, preview);
}

static gboolean on_press(GtkWidget *touch, GdkEvent *event, gpointer data)
{
    (void)touch;
    (void)event;
    show_original(data);
    return TRUE;
}

static gboolean on_release(GtkWidget *touch, GdkEvent *event, gpointer data)
{
    (void)touch;
    (void)event;
    Preview *preview = data;
    if (preview->painted_shown)
        gtk_image_set_from_pixbuf(GTK_IMAGE(preview->picture), preview->painted_shown);
    return TRUE;
}

// A line of text below the picture.
static GtkWidget *new_line(void)
{
    GtkWidget *label = gtk_label_new(NULL);
    gtk_label_set_line_wrap(GTK_LABEL(label), TRUE);
    gtk_widget_set_size_request(label, SIDE, -1);
    gtk_misc_set_alignment(GTK_MISC(label), 0, 0.5);
    return label;
}

static void build(Preview *preview)
{
    preview->box = gtk_vbox_new(FALSE, 6);
    preview->picture = gtk_image_new();
    gtk_widget_set_size_request(preview->picture, SIDE, SIDE);
    GtkWidget *touch = gtk_event_box_new();
    gtk_widget_set_tooltip_text(touch, _("Press and hold to see the original"));
    gtk_container_add(GTK_CONTAINER(touch), preview->picture);
    g_signal_connect(touch, "button-press-event", G_CALLBACK(on_press), preview);
    g_signal_connect(touch, "button-release-event", G_CALLBACK(on_release), preview);
    preview->state = new_line();
    preview->cost = new_line();
    gtk_box_pack_start(GTK_BOX(preview->box), touch, TRUE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(preview->box), preview->state, FALSE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(preview->box), preview->cost, FALSE, TRUE, 0);
}

Preview *preview_new(const pentimento_plugin *plugin, gint32 layer, const Settings *settings, GError **error)
{
    Picture *original = canvas_read(layer, CANVAS_PREVIEW_SIDE, error);
    if (!original)
        return NULL;
    Preview *preview = g_new0(Preview, 1);
    *preview = (Preview){.plugin = plugin, .settings = settings, .layer = layer, .original = original,
                         .layer_size = {(guint)gimp_drawable_width(layer), (guint)gimp_drawable_height(layer)},
                         .original_shown = picture_pixbuf(original, SIDE)};
    build(preview);
    show_original(preview);
    preview_restart(preview);
    return preview;
}

GtkWidget *preview_widget(const Preview *preview)
{
    return preview->box;
}

void preview_free(Preview *preview)
{
    give_up(preview);
    picture_unref(preview->original);
    g_clear_object(&preview->original_shown);
    g_clear_object(&preview->painted_shown);
    g_free(preview);
}
