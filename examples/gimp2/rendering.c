#include "rendering.h"

#include <math.h>
#include <string.h>

struct Rendering {
    GThread *thread;
    const pentimento_plugin *plugin;
    char *settings;
    Picture *content;
    Styles styles;
    Watch watch;         // the main loop's
    gint wish;           // atomic
    gboolean abandoned;  // the main loop's
    GMutex lock;         // guards what follows
    gboolean has_report;
    Report newest;
    // What the thread has to tell.
    pentimento_estimate estimate;
    char *no_estimate;
    Outcome outcome;
};

// The threads that run.
static GSList *threads;

static void rendering_free(Rendering *rendering)
{
    g_free(rendering->settings);
    picture_unref(rendering->content);
    styles_clear(&rendering->styles);
    if (rendering->newest.picture)
        g_object_unref(rendering->newest.picture);
    g_free(rendering->no_estimate);
    picture_unref(rendering->outcome.painted);
    g_ptr_array_free(rendering->outcome.warnings, TRUE);
    g_clear_error(&rendering->outcome.failure);
    g_mutex_clear(&rendering->lock);
    g_free(rendering);
}

// The main loop's part.

static gboolean tell_estimate(gpointer data)
{
    Rendering *rendering = data;
    if (!rendering->abandoned)
        rendering->watch.estimated(&rendering->estimate, rendering->no_estimate, rendering->watch.data);
    return G_SOURCE_REMOVE;
}

static gboolean tell_report(gpointer data)
{
    Rendering *rendering = data;
    g_mutex_lock(&rendering->lock);
    Report report = rendering->newest;
    rendering->has_report = FALSE;
    if (report.picture)
        g_object_ref(report.picture);
    g_mutex_unlock(&rendering->lock);
    if (!rendering->abandoned && rendering->watch.reported)
        rendering->watch.reported(&report, rendering->watch.data);
    if (report.picture)
        g_object_unref(report.picture);
    return G_SOURCE_REMOVE;
}

static gboolean tell_end(gpointer data)
{
    Rendering *rendering = data;
    if (!rendering->abandoned)
        rendering->watch.ended(&rendering->outcome, rendering->watch.data);
    threads = g_slist_remove(threads, rendering->thread);
    g_thread_join(rendering->thread);
    rendering_free(rendering);
    return G_SOURCE_REMOVE;
}

void rendering_end(Rendering *rendering, int how)
{
    // What was cancelled is not stopped instead.
    if (how > g_atomic_int_get(&rendering->wish))
        g_atomic_int_set(&rendering->wish, how);
}

void rendering_abandon(Rendering *rendering)
{
    rendering->abandoned = TRUE;
    rendering_end(rendering, PENTIMENTO_CANCEL);
}

void rendering_finish_all(void)
{
    for (GSList *thread = threads; thread; thread = thread->next)
        g_thread_join(thread->data);
    g_clear_slist(&threads, NULL);
}

// The thread's part.

// The picture that a report lends, or NULL.
static GdkPixbuf *copied(const pentimento_image *image)
{
    GdkPixbuf *picture =
        image ? gdk_pixbuf_new(GDK_COLORSPACE_RGB, FALSE, 8, (int)image->width, (int)image->height) : NULL;
    for (guint y = 0; picture && y < image->height; y++)
        memcpy(gdk_pixbuf_get_pixels(picture) + (gsize)y * (gsize)gdk_pixbuf_get_rowstride(picture),
               (const char *)image->pixels + y * image->row_stride, (gsize)image->width * 3);
    return picture;
}

static int32_t on_progress(void *context, const pentimento_progress *progress)
{
    Rendering *rendering = context;
    GdkPixbuf *picture = copied(progress->preview);
    g_mutex_lock(&rendering->lock);
    Report *newest = &rendering->newest;
    newest->fraction = progress->fraction;
    newest->seconds_left = progress->seconds_left;
    g_strlcpy(newest->stage, progress->stage ? progress->stage : "", sizeof newest->stage);
    if (picture) {
        if (newest->picture)
            g_object_unref(newest->picture);
        newest->picture = picture;
    }
    if (!rendering->has_report)
        g_idle_add(tell_report, rendering);
    rendering->has_report = TRUE;
    g_mutex_unlock(&rendering->lock);
    return g_atomic_int_get(&rendering->wish);
}

static void on_log(void *context, int32_t level, const char *message)
{
    Rendering *rendering = context;
    if (level >= PENTIMENTO_LOG_WARNING)
        g_ptr_array_add(rendering->outcome.warnings, g_strdup(message));
}

static void estimate(Rendering *rendering, const pentimento_job *job)
{
    const pentimento_estimation *extension = rendering->plugin->extension(PENTIMENTO_ESTIMATE_EXTENSION);
    if (!rendering->watch.estimated || !extension)
        return;
    pentimento_size sizes[G_N_ELEMENTS(rendering->styles.entries)];
    for (guint i = 0; i < rendering->styles.count; i++)
        sizes[i] = rendering->styles.entries[i].size;
    pentimento_estimate_request request = {.struct_size = sizeof request, .style_count = rendering->styles.count,
                                           .content = rendering->watch.canvas_size, .styles = sizes};
    rendering->estimate.struct_size = sizeof rendering->estimate;
    pentimento_error reason = library_error();
    if (extension->estimate(job, &request, &rendering->estimate, &reason) < 0)
        rendering->no_estimate = g_strdup(reason.text);
    g_idle_add(tell_estimate, rendering);
}

static void paint(Rendering *rendering, pentimento_job *job)
{
    Outcome *outcome = &rendering->outcome;
    outcome->painted = picture_new_like(rendering->content);
    if (!outcome->painted) {
        g_set_error_literal(&outcome->failure, FAILURE, 0, _("There is not enough memory for the picture itself."));
        return;
    }
    pentimento_style styles[G_N_ELEMENTS(rendering->styles.entries)];
    for (guint i = 0; i < rendering->styles.count; i++) {
        const Style *style = &rendering->styles.entries[i];
        styles[i] = (pentimento_style){.struct_size = sizeof styles[i], .image = &style->picture->image,
                                       .weight = style->weight};
    }
    pentimento_host host = {.struct_size = sizeof host, .abi = PENTIMENTO_ABI, .context = rendering,
                            .progress = on_progress, .log = on_log};
    pentimento_render_request request = {.struct_size = sizeof request, .style_count = rendering->styles.count,
                                         .content = &rendering->content->image, .styles = styles,
                                         .output = &outcome->painted->image, .host = &host};
    pentimento_error reason = library_error();
    outcome->status = rendering->plugin->job_render(job, &request, &reason);
    if (outcome->status < 0)
        library_fail(&outcome->failure, &reason);
    if (outcome->status != PENTIMENTO_OK && outcome->status != PENTIMENTO_STOPPED)
        g_clear_pointer(&outcome->painted, picture_unref);
}

static gpointer run(gpointer data)
{
    Rendering *rendering = data;
    pentimento_job *job = settings_job(rendering->plugin, rendering->settings, &rendering->outcome.failure);
    if (job) {
        estimate(rendering, job);
        paint(rendering, job);
        rendering->plugin->job_destroy(job);
    }
    g_idle_add(tell_end, rendering);
    return NULL;
}

Rendering *rendering_start(const pentimento_plugin *plugin, const char *settings, Picture *content,
                           const Styles *styles, const Watch *watch)
{
    Rendering *rendering = g_new0(Rendering, 1);
    rendering->plugin = plugin;
    rendering->settings = g_strdup(settings);
    rendering->content = picture_ref(content);
    rendering->styles = *styles;
    for (guint i = 0; i < styles->count; i++)
        picture_ref(styles->entries[i].picture);
    rendering->watch = *watch;
    rendering->newest.seconds_left = NAN;
    rendering->outcome.warnings = g_ptr_array_new_with_free_func(g_free);
    g_mutex_init(&rendering->lock);
    rendering->thread = g_thread_new("pentimento render", run, rendering);
    threads = g_slist_prepend(threads, rendering->thread);
    return rendering;
}
