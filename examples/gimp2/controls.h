// The parameters of the filter as controls, as the plugin describes them.
//
// A preset stands behind what is set by hand. Choosing one writes its values into the controls, so that what is seen is
// what is painted; and what is asked of the plugin is the preset, and the values in which the controls differ from it.
#pragma once

#include <gtk/gtk.h>

#include "settings.h"

typedef struct Controls Controls;

// `changed` is called, with `data`, after the user changed one. Fails where the plugin is not of this version.
Controls *controls_new(const pentimento_plugin *plugin, const pentimento_filter *filter, void (*changed)(gpointer),
                       gpointer data, GError **error);
void controls_free(Controls *controls);

// The controls in their groups, one below the other: those under "Advanced", or the others. Labels are as wide as those
// of `labels`.
GtkWidget *controls_widget(const Controls *controls, gboolean advanced, GtkSizeGroup *labels);

// Shows settings as `settings_job` reads them.
gboolean controls_show(Controls *controls, const char *settings, GError **error);

// What the controls show, as `settings_job` reads it. The caller frees it.
char *controls_settings(const Controls *controls, GError **error);
