#include "progress.h"

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>
#include <math.h>

enum { PICTURE_SIDE = 384, KEEP = 1 };

struct ProgressWindow {
    GtkWidget *dialog, *picture, *bar, *line;
    Rendering *rendering;
};

char *progress_duration(double seconds)
{
    if (isnan(seconds))
        return g_strdup("");
    gboolean in_seconds = seconds < 90;
    char *number = g_strdup_printf("%.0f", in_seconds ? fmax(1, round(seconds)) : round(seconds / 60));
    char *words = texts_fill(in_seconds ? _("{n} s") : _("{n} min"), "n", number, NULL);
    g_free(number);
    return words;
}

static void on_response(GtkDialog *dialog, gint response, gpointer data)
{
    ProgressWindow *window = data;
    gboolean keep = response == KEEP;
    gtk_label_set_text(GTK_LABEL(window->line), keep ? _("Stopping…") : _("Cancelling…"));
    gtk_dialog_set_response_sensitive(dialog, KEEP, FALSE);
    rendering_end(window->rendering, keep ? PENTIMENTO_STOP : PENTIMENTO_CANCEL);
}

ProgressWindow *progress_window_new(const char *title)
{
    ProgressWindow *window = g_new0(ProgressWindow, 1);
    window->dialog = gtk_dialog_new();
    GtkDialog *dialog = GTK_DIALOG(window->dialog);
    gtk_window_set_title(GTK_WINDOW(dialog), title);
    gtk_window_set_role(GTK_WINDOW(dialog), "pentimento-progress");
    gtk_window_set_position(GTK_WINDOW(dialog), GTK_WIN_POS_CENTER);
    gtk_container_set_border_width(GTK_CONTAINER(dialog), 12);
    window->picture = gtk_image_new();
    gtk_widget_set_size_request(window->picture, PICTURE_SIDE, PICTURE_SIDE * 2 / 3);
    window->bar = gtk_progress_bar_new();
    window->line = gtk_label_new(_("Preparing…"));
    gtk_misc_set_alignment(GTK_MISC(window->line), 0, 0.5);
    GtkBox *box = GTK_BOX(gtk_dialog_get_content_area(dialog));
    gtk_box_set_spacing(box, 12);
    gtk_box_pack_start(box, window->picture, TRUE, TRUE, 0);
    gtk_box_pack_start(box, window->bar, FALSE, TRUE, 0);
    gtk_box_pack_start(box, window->line, FALSE, TRUE, 0);
    GtkWidget *keep = gtk_dialog_add_button(dialog, _("_Stop and keep"), KEEP);
    gtk_widget_set_tooltip_text(keep, _("Ends here and paints the layer with the picture as it is now."));
    GtkWidget *cancel = gtk_dialog_add_button(dialog, _("_Cancel"), GTK_RESPONSE_CANCEL);
    gtk_widget_set_tooltip_text(cancel, _("Ends here and leaves the layer as it was."));
    g_signal_connect(dialog, "response", G_CALLBACK(on_response), window);
    // GTK would destroy the window; it closes when the render has ended.
    g_signal_connect(dialog, "delete-event", G_CALLBACK(gtk_true), NULL);
    return window;
}

void progress_window_watch(ProgressWindow *window, Rendering *rendering)
{
    window->rendering = rendering;
    gtk_widget_show_all(window->dialog);
    // The key that began the render, pressed once more, is not to end it.
    gtk_window_set_focus(GTK_WINDOW(window->dialog), NULL);
    gimp_window_set_transient(GTK_WINDOW(window->dialog));
}

// A stage in the user's language; what a plugin of another version says is shown as it is.
static const char *stage_words(const char *stage)
{
    if (g_str_equal(stage, "looking at the canvas"))
        return _("Looking at the canvas");
    if (g_str_equal(stage, "looking at the style"))
        return _("Looking at the style");
    return g_str_equal(stage, "painting") ? _("Painting") : stage;
}

void progress_window_show(ProgressWindow *window, const Report *report)
{
    char *share = g_strdup_printf("%.0f%%", 100 * report->fraction);
    char *left = progress_duration(report->seconds_left);
    const char *stage = stage_words(report->stage);
    char *line = *left ? texts_fill(_("{stage}: {time} left"), "stage", stage, "time", left, NULL) : g_strdup(stage);
    gtk_progress_bar_set_fraction(GTK_PROGRESS_BAR(window->bar), report->fraction);
    gtk_progress_bar_set_text(GTK_PROGRESS_BAR(window->bar), share);
    gtk_label_set_text(GTK_LABEL(window->line), line);
    g_free(share);
    g_free(left);
    g_free(line);
    if (report->picture) {
        GdkPixbuf *shown = picture_scaled(g_object_ref(report->picture), PICTURE_SIDE);
        gtk_image_set_from_pixbuf(GTK_IMAGE(window->picture), shown);
        g_object_unref(shown);
    }
}

void progress_window_destroy(ProgressWindow *window)
{
    gtk_widget_destroy(window->dialog);
    g_free(window);
}
