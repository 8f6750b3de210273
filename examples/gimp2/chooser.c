#include "chooser.h"

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

#include "control.h"

#define CHOOSER "pentimento-chooser"

typedef struct {
    gint32 *layer;
    char *file;
    gint32 unwanted;
    GtkWidget *layers, *files, *no_file;
    gboolean showing;
    void (*changed)(gpointer data);
    gpointer data;
} Chooser;

static gboolean is_offered(gint32 image, gint32 layer, gpointer data)
{
    (void)image;
    return layer != ((const Chooser *)data)->unwanted && !gimp_item_is_group(layer);
}

static void show(Chooser *chooser)
{
    chooser->showing = TRUE;
    gimp_int_combo_box_set_active(GIMP_INT_COMBO_BOX(chooser->layers), *chooser->layer);
    if (*chooser->file)
        gtk_file_chooser_set_filename(GTK_FILE_CHOOSER(chooser->files), chooser->file);
    else
        gtk_file_chooser_unselect_all(GTK_FILE_CHOOSER(chooser->files));
    gtk_widget_set_sensitive(chooser->layers, !*chooser->file);
    gtk_widget_set_sensitive(chooser->no_file, *chooser->file != '\0');
    chooser->showing = FALSE;
}

static void take_layer(GtkWidget *layers, gpointer data)
{
    Chooser *chooser = data;
    gint chosen = NO_LAYER;
    gimp_int_combo_box_get_active(GIMP_INT_COMBO_BOX(layers), &chosen);
    if (chooser->showing || chosen == *chooser->layer)
        return;
    *chooser->layer = chosen;
    chooser->changed(chooser->data);
}

static void take_file(GtkWidget *files, gpointer data)
{
    Chooser *chooser = data;
    char *name = gtk_file_chooser_get_filename(GTK_FILE_CHOOSER(files));
    GError *error = NULL;
    if (chooser->showing || !name || !settings_copy(chooser->file, SETTINGS_FILE_SIZE, name, &error)) {
        if (error)
            g_message("%s", error->message);
        g_clear_error(&error);
    } else {
        show(chooser);
        chooser->changed(chooser->data);
    }
    g_free(name);
}

static void forget_file(GtkWidget *button, gpointer data)
{
    (void)button;
    Chooser *chooser = data;
    *chooser->file = '\0';
    show(chooser);
    chooser->changed(chooser->data);
}

static void attach(GtkWidget *table, guint row, const char *text, GtkWidget *control, const char *help,
                   GtkSizeGroup *labels)
{
    GtkWidget *label = gtk_label_new_with_mnemonic(text);
    gtk_label_set_mnemonic_widget(GTK_LABEL(label), control);
    gtk_misc_set_alignment(GTK_MISC(label), 0, 0.5);
    gtk_size_group_add_widget(labels, label);
    gimp_help_set_help_data(control, help, NULL);
    gtk_table_attach(GTK_TABLE(table), label, 0, 1, row, row + 1, GTK_FILL, GTK_FILL, 0, 0);
    gtk_table_attach(GTK_TABLE(table), control, 1, 2, row, row + 1, GTK_EXPAND | GTK_FILL, GTK_FILL, 0, 0);
}

GtkWidget *chooser_new(gint32 *layer, char *file, gint32 unwanted, GtkSizeGroup *labels, void (*changed)(gpointer),
                       gpointer data)
{
    Chooser *chooser = g_new0(Chooser, 1);
    *chooser = (Chooser){.layer = layer, .file = file, .unwanted = unwanted, .changed = changed, .data = data};
    GtkWidget *table = control_table_new();
    g_object_set_data_full(G_OBJECT(table), CHOOSER, chooser, g_free);
    chooser->layers = gimp_layer_combo_box_new(is_offered, chooser);
    gimp_int_combo_box_prepend(GIMP_INT_COMBO_BOX(chooser->layers), GIMP_INT_STORE_VALUE, NO_LAYER,
                               GIMP_INT_STORE_LABEL, _("None"), -1);
    attach(table, 0, _("La_yer"), chooser->layers, _("The layer whose manner the picture takes on"), labels);
    chooser->files = gtk_file_chooser_button_new(_("Choose a style picture"), GTK_FILE_CHOOSER_ACTION_OPEN);
    attach(table, 1, _("or _file"), chooser->files, _("A picture file to take the style from, in place of a layer"),
           labels);
    chooser->no_file = gtk_button_new();
    gtk_container_add(GTK_CONTAINER(chooser->no_file), gtk_image_new_from_stock(GTK_STOCK_CLEAR, GTK_ICON_SIZE_BUTTON));
    gimp_help_set_help_data(chooser->no_file, _("Forget the file, and take the style from the layer"), NULL);
    gtk_table_attach(GTK_TABLE(table), chooser->no_file, 2, 3, 1, 2, GTK_FILL, GTK_FILL, 0, 0);
    show(chooser);
    g_signal_connect(chooser->layers, "changed", G_CALLBACK(take_layer), chooser);
    g_signal_connect(chooser->files, "file-set", G_CALLBACK(take_file), chooser);
    g_signal_connect(chooser->no_file, "clicked", G_CALLBACK(forget_file), chooser);
    return table;
}

void chooser_show(GtkWidget *chooser)
{
    show(g_object_get_data(G_OBJECT(chooser), CHOOSER));
}
