#include "control.h"

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>
#include <math.h>

enum { SPACING = 6, FEWEST_DIGITS = 2, MOST_DIGITS = 6 };

GtkWidget *control_table_new(void)
{
    GtkWidget *table = gtk_table_new(1, 3, FALSE);
    gtk_table_set_row_spacings(GTK_TABLE(table), SPACING);
    gtk_table_set_col_spacings(GTK_TABLE(table), SPACING);
    return table;
}

static gboolean is_number(const Control *control)
{
    return control->parameter.kind == PENTIMENTO_KIND_FLOAT || control->parameter.kind == PENTIMENTO_KIND_INTEGER;
}

// So many that a step, and the smallest value, can be seen.
static int digits(const pentimento_parameter *parameter)
{
    if (parameter->kind != PENTIMENTO_KIND_FLOAT)
        return 0;
    double finest = parameter->hard_min > 0 ? fmin(parameter->step, parameter->hard_min) : parameter->step;
    return CLAMP((int)ceil(-log10(finest) - 1e-9), FEWEST_DIGITS, MOST_DIGITS);
}

static GtkObject *attach_number(const Control *control, GtkTable *table, gint row, const char *label, const char *help)
{
    const pentimento_parameter *p = &control->parameter;
    double page = fmin(10 * p->step, p->soft_max - p->soft_min);
    // The slider moves in the comfortable range; any allowed number can be typed.
    return gimp_scale_entry_new(table, 0, row, label, CONTROL_SLIDER_WIDTH, CONTROL_NUMBER_WIDTH, p->default_number,
                                p->soft_min, p->soft_max, p->step, page, (guint)control->digits, FALSE, p->hard_min,
                                p->hard_max, help, NULL);
}

static GtkWidget *new_choice(const pentimento_parameter *parameter)
{
    GtkWidget *box = gtk_combo_box_text_new();
    for (guint i = 0; i < parameter->choice_count; i++)
        gtk_combo_box_text_append_text(GTK_COMBO_BOX_TEXT(box), _(parameter->choices[i].label));
    return box;
}

// What stands before the control; the caller frees it.
static char *label_text(const pentimento_parameter *parameter)
{
    const char *label = _(parameter->label);
    return *parameter->unit ? g_strdup_printf("%s (%s)", label, parameter->unit) : g_strdup(label);
}

void control_attach(Control *control, GtkTable *table, gint row, GtkSizeGroup *labels)
{
    const pentimento_parameter *parameter = &control->parameter;
    const char *help = _(parameter->help);
    char *text = label_text(parameter);
    control->digits = digits(parameter);
    if (is_number(control)) {
        control->number = attach_number(control, table, row, text, help);
        gtk_size_group_add_widget(labels, GIMP_SCALE_ENTRY_LABEL(control->number));
    } else if (parameter->kind == PENTIMENTO_KIND_BOOL) {
        control->widget = gtk_check_button_new_with_label(text);
        gtk_table_attach(table, control->widget, 0, 3, (guint)row, (guint)row + 1, GTK_EXPAND | GTK_FILL, 0, 0, 0);
    } else {
        control->widget = parameter->kind == PENTIMENTO_KIND_CHOICE ? new_choice(parameter) : gtk_entry_new();
        GtkWidget *label = gimp_table_attach_aligned(table, 0, row, text, 0, 0.5, control->widget, 2, FALSE);
        gtk_size_group_add_widget(labels, label);
    }
    if (control->widget)
        gimp_help_set_help_data(control->widget, help, NULL);
    g_free(text);
}

void control_connect(Control *control, GCallback changed, gpointer data)
{
    const char *signal = control->parameter.kind == PENTIMENTO_KIND_BOOL ? "toggled"
                         : is_number(control)                            ? "value-changed"
                                                                         : "changed";
    g_signal_connect(is_number(control) ? (gpointer)control->number : control->widget, signal, changed, data);
}

char *control_text(const Control *control)
{
    const pentimento_parameter *parameter = &control->parameter;
    if (is_number(control)) {
        char text[G_ASCII_DTOSTR_BUF_SIZE], format[] = "%.0f";
        format[2] = (char)('0' + control->digits);
        double number = gtk_adjustment_get_value(GTK_ADJUSTMENT(control->number));
        return g_strdup(g_ascii_formatd(text, sizeof text, format, number));
    }
    if (parameter->kind == PENTIMENTO_KIND_BOOL)
        return g_strdup(gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(control->widget)) ? "true" : "false");
    if (parameter->kind == PENTIMENTO_KIND_TEXT)
        return g_strdup(gtk_entry_get_text(GTK_ENTRY(control->widget)));
    int chosen = gtk_combo_box_get_active(GTK_COMBO_BOX(control->widget));
    return g_strdup(chosen >= 0 ? parameter->choices[chosen].id : parameter->default_text);
}

void control_show(Control *control, const char *text)
{
    const pentimento_parameter *parameter = &control->parameter;
    if (is_number(control))
        gtk_adjustment_set_value(GTK_ADJUSTMENT(control->number), g_ascii_strtod(text, NULL));
    else if (parameter->kind == PENTIMENTO_KIND_BOOL)
        gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(control->widget), g_str_equal(text, "true"));
    else if (parameter->kind == PENTIMENTO_KIND_TEXT)
        gtk_entry_set_text(GTK_ENTRY(control->widget), text);
    for (guint i = 0; i < parameter->choice_count; i++)
        if (g_str_equal(parameter->choices[i].id, text))
            gtk_combo_box_set_active(GTK_COMBO_BOX(control->widget), (gint)i);
}

gboolean control_shows(const Control *control, const char *text)
{
    char *shown = control_text(control);
    gboolean same = is_number(control) ? fabs(g_ascii_strtod(shown, NULL) - g_ascii_strtod(text, NULL)) <=
                                             0.5001 * pow(10, -control->digits)
                                       : g_str_equal(shown, text);
    g_free(shown);
    return same;
}
