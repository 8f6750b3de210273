// The window of a render: the picture as it emerges, how far it is, and two ways to end it.
#pragma once

#include <gtk/gtk.h>

#include "rendering.h"

typedef struct ProgressWindow ProgressWindow;

ProgressWindow *progress_window_new(const char *title);

// What its buttons end. Closing the window is the same wish as Cancel.
void progress_window_watch(ProgressWindow *window, Rendering *rendering);
void progress_window_show(ProgressWindow *window, const Report *report);
void progress_window_destroy(ProgressWindow *window);

// A length of time as people say it; "" while it is unknown. The caller frees it.
char *progress_duration(double seconds);
