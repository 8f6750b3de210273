// Finding and loading the Pentimento plugin, and what its calls need. Nothing here knows of GIMP.
#pragma once

#include <pentimento.h>

#include "texts.h"

// The filter that this bridge offers.
#define FILTER "style-transfer"

// The plugin's table, which lives as long as the process. It is looked for in PENTIMENTO_PLUGIN_PATH, then in `folder`,
// the executable's own, then among the user's plugins. NULL, with an error that lists these places, where it is in
// none.
const pentimento_plugin *library_load(const char *folder, GError **error);

// The description of FILTER. FALSE, with an error, where the plugin has none of that name.
gboolean library_filter(const pentimento_plugin *plugin, pentimento_filter *filter, GError **error);

// What the plugin tells of presets.
const pentimento_presets *library_presets(const pentimento_plugin *plugin, GError **error);

// An error record to be handed to a call of the plugin, and what a call wrote into it as an error of this bridge.
pentimento_error library_error(void);
void library_fail(GError **error, const pentimento_error *reason);
