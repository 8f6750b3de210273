// One parameter as a control.
#pragma once

#include <gtk/gtk.h>

#include "library.h"

typedef struct {
    pentimento_parameter parameter;
    GtkObject *number;  // the adjustment of a FLOAT or INTEGER
    GtkWidget *widget;  // of any other kind
    int digits;         // after the point
} Control;

// A table for controls: three columns, and as many rows as it gets.
GtkWidget *control_table_new(void);

// The widths of a slider and of the number beside it.
enum { CONTROL_SLIDER_WIDTH = 160, CONTROL_NUMBER_WIDTH = 8 };

// Puts the control into a row of such a table.
void control_attach(Control *control, GtkTable *table, gint row, GtkSizeGroup *labels);

// Calls back, with `data` as the last argument, when it changes.
void control_connect(Control *control, GCallback changed, gpointer data);

// Its value as the plugin writes and reads it. The caller frees it.
char *control_text(const Control *control);
void control_show(Control *control, const char *text);

// Whether it shows this value, as exactly as it can.
gboolean control_shows(const Control *control, const char *text);
