#include "dialog.h"

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

#include "chooser.h"
#include "control.h"
#include "controls.h"
#include "preview.h"
#include "styles.h"

enum { RESET = 1 };
// As GIMP's frames have it.
enum { INDENTATION = 16 };
// What the dialog has above and below the controls, and a panel of the desktop; and how low it may get.
enum { BESIDE_CONTROLS = 220, SMALLEST_HEIGHT = 200, SCROLLBAR = 24 };

typedef struct {
    Settings settings;
    gint32 layer;
    Controls *controls;
    Preview *preview;
    GtkSizeGroup *labels;
    GtkWidget *first, *second, *output;
    GtkObject *blend, *opacity;
    gboolean showing;
} Dialog;

static void on_change(gpointer data)
{
    Dialog *dialog = data;
    GError *error = NULL;
    if (dialog->showing)
        return;
    char *settings = controls_settings(dialog->controls, &error);
    if (!settings || !settings_copy(dialog->settings.settings, SETTINGS_TEXT_SIZE, settings, &error))
        g_message("%s", error->message);
    g_clear_error(&error);
    g_free(settings);
    dialog->settings.blend = gtk_adjustment_get_value(GTK_ADJUSTMENT(dialog->blend));
    dialog->settings.opacity = gtk_adjustment_get_value(GTK_ADJUSTMENT(dialog->opacity));
    dialog->settings.output = gtk_combo_box_get_active(GTK_COMBO_BOX(dialog->output));
    preview_restart(dialog->preview);
}

static void on_widget_change(gpointer widget, gpointer data)
{
    (void)widget;
    on_change(data);
}

static gboolean show_settings(Dialog *dialog, GError **error)
{
    const Settings *settings = &dialog->settings;
    dialog->showing = TRUE;
    gboolean shown = controls_show(dialog->controls, settings->settings, error);
    chooser_show(dialog->first);
    chooser_show(dialog->second);
    gtk_adjustment_set_value(GTK_ADJUSTMENT(dialog->blend), settings->blend);
    gtk_adjustment_set_value(GTK_ADJUSTMENT(dialog->opacity), settings->opacity);
    gtk_combo_box_set_active(GTK_COMBO_BOX(dialog->output), settings->output);
    dialog->showing = FALSE;
    return shown;
}

// Everything at its default, but the style picture stays.
static void reset(Dialog *dialog)
{
    Settings settings = settings_default();
    settings.style = dialog->settings.style;
    g_strlcpy(settings.style_file, dialog->settings.style_file, sizeof settings.style_file);
    dialog->settings = settings;
    show_settings(dialog, NULL);
    preview_restart(dialog->preview);
}

static GtkWidget *framed(const char *title, GtkWidget *inside)
{
    GtkWidget *frame = gimp_frame_new(title);
    gtk_container_add(GTK_CONTAINER(frame), inside);
    return frame;
}

// A share in per cent.
static GtkObject *attach_share(Dialog *dialog, GtkWidget *table, gint row, const char *text, const char *help)
{
    GtkObject *share = gimp_scale_entry_new(GTK_TABLE(table), 0, row, text, CONTROL_SLIDER_WIDTH, CONTROL_NUMBER_WIDTH,
                                            100, 0, 100, 1, 10, 1, TRUE, 0, 0, help, NULL);
    gtk_size_group_add_widget(dialog->labels, GIMP_SCALE_ENTRY_LABEL(share));
    g_signal_connect(share, "value-changed", G_CALLBACK(on_widget_change), dialog);
    return share;
}

static GtkWidget *new_first_style(Dialog *dialog)
{
    dialog->first = chooser_new(&dialog->settings.style, dialog->settings.style_file, dialog->layer, dialog->labels,
                                on_change, dialog);
    return framed(_("Style picture"), dialog->first);
}

static GtkWidget *new_second_style(Dialog *dialog)
{
    Settings *settings = &dialog->settings;
    dialog->second = chooser_new(&settings->second_style, settings->second_style_file, dialog->layer, dialog->labels,
                                 on_change, dialog);
    GtkWidget *table = control_table_new(), *box = gtk_vbox_new(FALSE, 6);
    dialog->blend = attach_share(dialog, table, 0, _("Blend (%)"), _("The share of the second style"));
    gtk_box_pack_start(GTK_BOX(box), dialog->second, FALSE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(box), table, FALSE, TRUE, 0);
    GtkWidget *indented = gtk_alignment_new(0, 0, 1, 1), *expander = gtk_expander_new(_("Second style"));
    gtk_alignment_set_padding(GTK_ALIGNMENT(indented), 6, 0, INDENTATION, 0);
    gtk_container_add(GTK_CONTAINER(indented), box);
    gtk_container_add(GTK_CONTAINER(expander), indented);
    gboolean chosen = settings->second_style != NO_LAYER || *settings->second_style_file;
    gtk_expander_set_expanded(GTK_EXPANDER(expander), chosen);
    return expander;
}

static GtkWidget *new_result(Dialog *dialog)
{
    GtkWidget *table = control_table_new();
    dialog->output = gtk_combo_box_text_new();
    // In the order of OUTPUT_REPLACE and OUTPUT_NEW_LAYER.
    gtk_combo_box_text_append_text(GTK_COMBO_BOX_TEXT(dialog->output), _("Replace the layer"));
    gtk_combo_box_text_append_text(GTK_COMBO_BOX_TEXT(dialog->output), _("New layer"));
    gimp_help_set_help_data(dialog->output, _("Where the picture goes"), NULL);
    g_signal_connect(dialog->output, "changed", G_CALLBACK(on_widget_change), dialog);
    gtk_size_group_add_widget(dialog->labels, gimp_table_attach_aligned(GTK_TABLE(table), 0, 0, _("Output"), 0, 0.5,
                                                                        dialog->output, 2, FALSE));
    dialog->opacity =
        attach_share(dialog, table, 1, _("Opacity (%)"), _("How much of the picture covers what was there"));
    return framed(_("Result"), table);
}

static GtkWidget *new_advanced(Dialog *dialog)
{
    GtkWidget *expander = gtk_expander_new(_("Advanced"));
    gtk_expander_set_spacing(GTK_EXPANDER(expander), 6);
    gtk_container_add(GTK_CONTAINER(expander), controls_widget(dialog->controls, TRUE, dialog->labels));
    return expander;
}

// As large as the controls, but never higher than the screen.
static void fit(GtkWidget *inside, GtkRequisition *wanted, gpointer scrolled)
{
    GdkScreen *screen = gtk_widget_get_screen(inside);
    GdkRectangle monitor;
    gdk_screen_get_monitor_geometry(screen, gdk_screen_get_primary_monitor(screen), &monitor);
    gint room = MAX(monitor.height - BESIDE_CONTROLS, SMALLEST_HEIGHT);
    gint bar = wanted->height > room ? SCROLLBAR : 0;
    gtk_widget_set_size_request(scrolled, wanted->width + bar, MIN(wanted->height, room));
}

static GtkWidget *new_scrolled(GtkWidget *inside)
{
    GtkWidget *scrolled = gtk_scrolled_window_new(NULL, NULL);
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scrolled), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_add_with_viewport(GTK_SCROLLED_WINDOW(scrolled), inside);
    gtk_viewport_set_shadow_type(GTK_VIEWPORT(gtk_bin_get_child(GTK_BIN(scrolled))), GTK_SHADOW_NONE);
    g_signal_connect(inside, "size-request", G_CALLBACK(fit), scrolled);
    return scrolled;
}

static GtkWidget *build(Dialog *dialog, const char *title)
{
    GtkWidget *window = gimp_dialog_new(title, "pentimento", NULL, 0, gimp_standard_help_func, NULL, GIMP_STOCK_RESET,
                                        RESET, _("_Cancel"), GTK_RESPONSE_CANCEL, _("Re_nder"), GTK_RESPONSE_OK, NULL);
    gtk_dialog_set_default_response(GTK_DIALOG(window), GTK_RESPONSE_OK);
    gimp_window_set_transient(GTK_WINDOW(window));
    GtkWidget *columns = gtk_hbox_new(FALSE, 18), *inside = gtk_vbox_new(FALSE, 12);
    gtk_container_set_border_width(GTK_CONTAINER(columns), 12);
    gtk_box_pack_start(GTK_BOX(gtk_dialog_get_content_area(GTK_DIALOG(window))), columns, TRUE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(columns), preview_widget(dialog->preview), FALSE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(columns), new_scrolled(inside), TRUE, TRUE, 0);
    GtkWidget *parts[] = {new_first_style(dialog), new_second_style(dialog),
                          controls_widget(dialog->controls, FALSE, dialog->labels), new_result(dialog),
                          new_advanced(dialog)};
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
        gtk_box_pack_start(GTK_BOX(inside), parts[i], FALSE, TRUE, 0);
    return window;
}

static gint run(Dialog *dialog, GtkWidget *window)
{
    gint response;
    do {
        response = gimp_dialog_run(GIMP_DIALOG(window));
        if (response == RESET)
            reset(dialog);
    } while (response == RESET);
    return response;
}

gboolean dialog_ask(const pentimento_plugin *plugin, const pentimento_filter *filter, gint32 layer, Settings *settings,
                    GError **error)
{
    Dialog dialog = {.settings = *settings, .layer = layer};
    gint response = GTK_RESPONSE_CANCEL;
    dialog.controls = controls_new(plugin, filter, on_change, &dialog, error);
    dialog.preview = dialog.controls ? preview_new(plugin, layer, &dialog.settings, error) : NULL;
    if (dialog.preview) {
        dialog.labels = gtk_size_group_new(GTK_SIZE_GROUP_HORIZONTAL);
        GtkWidget *window = build(&dialog, _(filter->label));
        if (show_settings(&dialog, error)) {
            gtk_widget_show_all(window);
            response = run(&dialog, window);
        }
        preview_free(dialog.preview);
        gtk_widget_destroy(window);
        g_object_unref(dialog.labels);
    }
    if (dialog.controls)
        controls_free(dialog.controls);
    if (response == GTK_RESPONSE_OK)
        *settings = dialog.settings;
    return response == GTK_RESPONSE_OK;
}
