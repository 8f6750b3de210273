// Choosing a style: a list of the layers of all open images with their thumbnails, or a picture file.
#pragma once

#include <gtk/gtk.h>

#include "settings.h"

// The two controls of a style. They keep the number of a layer, -1 for none, and the name of a file, which goes before
// the layer, in fields of `SETTINGS_FILE_SIZE` bytes and the size of a number. `unwanted` is not offered. `changed` is
// called, with `data`, after the user changed one. Labels are as wide as those of `labels`.
GtkWidget *chooser_new(gint32 *layer, char *file, gint32 unwanted, GtkSizeGroup *labels, void (*changed)(gpointer),
                       gpointer data);

// Shows what the fields hold.
void chooser_show(GtkWidget *chooser);
