// The preview in the dialog: the whole canvas, painted small by the same pipeline, again whenever a setting changes.
//
// It waits until the settings have rested a moment, gives up a render that is no longer wanted, and shows each picture
// as it emerges. Press and hold it to see the original.
#pragma once

#include <gtk/gtk.h>

#include "settings.h"

typedef struct Preview Preview;

// Paints `layer` with `settings` as they are then. NULL where there is not enough memory.
Preview *preview_new(const pentimento_plugin *plugin, gint32 layer, const Settings *settings, GError **error);
GtkWidget *preview_widget(const Preview *preview);

// The settings have changed.
void preview_restart(Preview *preview);

// Ends what is being painted, and frees it; the widget is its parent's.
void preview_free(Preview *preview);
