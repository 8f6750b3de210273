// One run of the filter on a layer: asked for, painted, delivered.
#pragma once

#include <libgimp/gimp.h>

#include "settings.h"

// Paints `layer` by `settings`, which the dialog changes where there is one. Whether it came to a picture: FALSE
// without an error where the user changed their mind. `folder` is the executable's own.
gboolean session_run(const char *folder, GimpRunMode run_mode, gint32 layer, Settings *settings, GError **error);
