// The dialog: the styles, the parameters as the plugin describes them, where the picture goes, and a preview.
//
// What matters first is in sight; what the plugin calls advanced is folded away.
#pragma once

#include "settings.h"

// Asks for settings, beginning with those given. Whether to render; what was chosen is then in `settings`, and
// otherwise they are as they were.
gboolean dialog_ask(const pentimento_plugin *plugin, const pentimento_filter *filter, gint32 layer, Settings *settings,
                    GError **error);
