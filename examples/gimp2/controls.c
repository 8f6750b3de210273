#include "controls.h"

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

#include "control.h"

struct Controls {
    const pentimento_plugin *plugin;
    guint count;
    Control *list;
    // The control that chooses a preset, NULL for none, and which of the others are spoken of by some preset.
    Control *preset;
    gboolean *mentioned;
    gboolean showing;
    void (*changed)(gpointer data);
    gpointer data;
};

// A job with a preset and all else at its default.
static pentimento_job *preset_job(const Controls *controls, const char *preset, GError **error)
{
    char *settings = controls->preset ? g_strdup_printf("%s=%s", controls->preset->parameter.id, preset) : g_strdup("");
    pentimento_job *job = settings_job(controls->plugin, settings, error);
    g_free(settings);
    return job;
}

// Shows of a job the values of all controls, or only of those that some preset speaks of.
static gboolean show_job(Controls *controls, const pentimento_job *job, gboolean only_mentioned, GError **error)
{
    gboolean all = TRUE;
    controls->showing = TRUE;
    for (guint i = 0; i < controls->count && all; i++) {
        if (only_mentioned && !controls->mentioned[i])
            continue;
        char *value = settings_value(controls->plugin, job, controls->list[i].parameter.id, error);
        all = value != NULL;
        if (all)
            control_show(&controls->list[i], value);
        g_free(value);
    }
    controls->showing = FALSE;
    return all;
}

static void on_changed(GObject *object, gpointer data)
{
    Controls *controls = data;
    if (controls->showing)
        return;
    if (controls->preset && object == G_OBJECT(controls->preset->widget)) {
        char *preset = control_text(controls->preset);
        pentimento_job *job = preset_job(controls, preset, NULL);
        if (job)
            show_job(controls, job, TRUE, NULL);
        controls->plugin->job_destroy(job);
        g_free(preset);
    }
    controls->changed(controls->data);
}

// Notes which parameters a preset gives a value of its own.
static gboolean note_mentioned(Controls *controls, const char *preset, GError **error)
{
    pentimento_job *job = preset_job(controls, preset, error);
    gboolean all = job != NULL;
    for (guint i = 0; i < controls->count && all; i++) {
        const pentimento_parameter *parameter = &controls->list[i].parameter;
        char *value = settings_value(controls->plugin, job, parameter->id, error);
        all = value != NULL;
        if (all && &controls->list[i] != controls->preset && !g_str_equal(value, parameter->default_text))
            controls->mentioned[i] = TRUE;
        g_free(value);
    }
    controls->plugin->job_destroy(job);
    return all;
}

static gboolean find_presets(Controls *controls, const char *filter, GError **error)
{
    const pentimento_presets *presets = library_presets(controls->plugin, error);
    pentimento_error reason = library_error();
    char id[256];
    gsize needed;
    if (!presets)
        return FALSE;
    if (presets->parameter(filter, id, sizeof id, &needed, &reason) < 0) {
        library_fail(error, &reason);
        return FALSE;
    }
    for (guint i = 0; i < controls->count; i++)
        if (needed <= sizeof id && g_str_equal(controls->list[i].parameter.id, id))
            controls->preset = &controls->list[i];
    guint count = controls->preset ? controls->preset->parameter.choice_count : 0;
    gboolean all = TRUE;
    for (guint i = 0; i < count && all; i++)
        all = note_mentioned(controls, controls->preset->parameter.choices[i].id, error);
    return all;
}

Controls *controls_new(const pentimento_plugin *plugin, const pentimento_filter *filter, void (*changed)(gpointer),
                       gpointer data, GError **error)
{
    Controls *controls = g_new0(Controls, 1);
    *controls = (Controls){.plugin = plugin, .count = filter->parameter_count, .changed = changed, .data = data,
                           .list = g_new0(Control, filter->parameter_count),
                           .mentioned = g_new0(gboolean, filter->parameter_count)};
    pentimento_status status = PENTIMENTO_OK;
    for (guint i = 0; i < controls->count && status >= 0; i++) {
        pentimento_error reason = library_error();
        controls->list[i].parameter = (pentimento_parameter){.struct_size = sizeof(pentimento_parameter)};
        status = plugin->describe_parameter(filter->id, i, &controls->list[i].parameter, &reason);
        if (status < 0)
            library_fail(error, &reason);
    }
    if (status >= 0 && find_presets(controls, filter->id, error))
        return controls;
    controls_free(controls);
    return NULL;
}

void controls_free(Controls *controls)
{
    g_free(controls->list);
    g_free(controls->mentioned);
    g_free(controls);
}

// A frame with the controls of the group that begins at `first`.
static GtkWidget *group_widget(const Controls *controls, guint first, GtkSizeGroup *labels)
{
    const pentimento_parameter *leader = &controls->list[first].parameter;
    GtkWidget *frame = gimp_frame_new(_(leader->group)), *table = control_table_new();
    gtk_container_add(GTK_CONTAINER(frame), table);
    gint row = 0;
    for (guint i = first; i < controls->count; i++) {
        Control *control = &controls->list[i];
        if (control->parameter.advanced != leader->advanced || !g_str_equal(control->parameter.group, leader->group))
            continue;
        control_attach(control, GTK_TABLE(table), row++, labels);
        control_connect(control, G_CALLBACK(on_changed), (gpointer)controls);
    }
    return frame;
}

// Whether the parameter at this place is the first of its group.
static gboolean is_first(const Controls *controls, guint place)
{
    const pentimento_parameter *parameter = &controls->list[place].parameter;
    for (guint i = 0; i < place; i++) {
        const pentimento_parameter *other = &controls->list[i].parameter;
        if (other->advanced == parameter->advanced && g_str_equal(other->group, parameter->group))
            return FALSE;
    }
    return TRUE;
}

GtkWidget *controls_widget(const Controls *controls, gboolean advanced, GtkSizeGroup *labels)
{
    GtkWidget *box = gtk_vbox_new(FALSE, 12);
    for (guint i = 0; i < controls->count; i++)
        if ((controls->list[i].parameter.advanced != 0) == advanced && is_first(controls, i))
            gtk_box_pack_start(GTK_BOX(box), group_widget(controls, i, labels), FALSE, TRUE, 0);
    return box;
}

gboolean controls_show(Controls *controls, const char *settings, GError **error)
{
    pentimento_job *job = settings_job(controls->plugin, settings, error);
    gboolean shown = job && show_job(controls, job, FALSE, error);
    controls->plugin->job_destroy(job);
    return shown;
}

char *controls_settings(const Controls *controls, GError **error)
{
    char *preset = controls->preset ? control_text(controls->preset) : NULL;
    pentimento_job *job = preset_job(controls, preset, error);
    GString *settings = g_string_new(NULL);
    if (controls->preset && !g_str_equal(preset, controls->preset->parameter.default_text))
        g_string_append_printf(settings, "%s=%s;", controls->preset->parameter.id, preset);
    gboolean all = job != NULL;
    for (guint i = 0; i < controls->count && all; i++) {
        const Control *control = &controls->list[i];
        char *value = settings_value(controls->plugin, job, control->parameter.id, error);
        all = value != NULL;
        if (all && !control_shows(control, value)) {
            char *text = control_text(control);
            g_string_append_printf(settings, "%s=%s;", control->parameter.id, text);
            g_free(text);
        }
        g_free(value);
    }
    controls->plugin->job_destroy(job);
    g_free(preset);
    return g_string_free(settings, !all);
}
