#include "styles.h"

#include <glib/gstdio.h>

// Appends the layers of an image that are no groups.
static void append_layers(GArray *layers, gint32 image)
{
    gint count;
    gint *found = gimp_image_get_layers(image, &count);
    for (gint i = 0; i < count; i++)
        if (!gimp_item_is_group(found[i]))
            g_array_append_val(layers, found[i]);
    g_free(found);
}

// The layers that may be styles, the likeliest first: those below the canvas, those above it, those of other images.
static GArray *other_layers(gint32 canvas)
{
    gint32 own = gimp_item_get_image(canvas);
    GArray *all = g_array_new(FALSE, FALSE, sizeof(gint32)), *above = g_array_new(FALSE, FALSE, sizeof(gint32));
    append_layers(above, own);
    guint place = 0;
    while (place < above->len && g_array_index(above, gint32, place) != canvas)
        place++;
    if (place < above->len)
        g_array_append_vals(all, &g_array_index(above, gint32, place) + 1, above->len - place - 1);
    g_array_append_vals(all, above->data, place);
    g_array_free(above, TRUE);
    gint count;
    gint *images = gimp_image_list(&count);
    for (gint i = 0; i < count; i++)
        if (images[i] != own)
            append_layers(all, images[i]);
    g_free(images);
    return all;
}

void styles_suggest(Settings *settings, gint32 canvas)
{
    if (!gimp_item_is_valid(settings->style))
        settings->style = NO_LAYER;
    if (!gimp_item_is_valid(settings->second_style))
        settings->second_style = NO_LAYER;
    if (settings->style != NO_LAYER || *settings->style_file)
        return;
    GArray *others = other_layers(canvas);
    if (others->len > 0)
        settings->style = g_array_index(others, gint32, 0);
    g_array_free(others, TRUE);
}

static void fail_without_style(gint32 canvas, GError **error)
{
    GArray *others = other_layers(canvas);
    const char *words = others->len > 0
                            ? _("Choose a style: another layer, or a picture file.")
                            : _("There is no other layer to take a style from. Open the style picture as a layer "
                                "(File ▸ Open as Layers), open it as an image of its own, or choose a file.");
    g_set_error_literal(error, FAILURE, 0, words);
    g_array_free(others, TRUE);
}

static gboolean read_drawable(gint32 drawable, gint side, Style *style, GError **error)
{
    style->size = (pentimento_size){(guint)gimp_drawable_width(drawable), (guint)gimp_drawable_height(drawable)};
    style->picture = canvas_read(drawable, side, error);
    return style->picture != NULL;
}

static gboolean read_layer(gint32 layer, gint side, Style *style, GError **error)
{
    if (gimp_item_is_valid(layer) && gimp_item_is_drawable(layer) && !gimp_item_is_group(layer))
        return read_drawable(layer, side, style, error);
    g_set_error_literal(error, FAILURE, 0,
                        gimp_item_is_valid(layer)
                            ? _("A layer group is no style. Choose one of its layers, or merge the group first.")
                            : _("The style layer is gone: its image was closed. Choose another."));
    return FALSE;
}

static gboolean read_file(const char *path, gint side, Style *style, GError **error)
{
    gint32 image = gimp_file_load(GIMP_RUN_NONINTERACTIVE, path, path);
    gint32 layer = -1;
    if (image != -1) {
        if (gimp_image_base_type(image) == GIMP_INDEXED)
            gimp_image_convert_rgb(image);
        layer = gimp_image_merge_visible_layers(image, GIMP_CLIP_TO_IMAGE);
    }
    gboolean is_read = layer != -1 && read_drawable(layer, side, style, error);
    if (layer == -1)
        texts_fail(error, texts_fill(_("The style “{path}” cannot be opened: {reason}"), "path", path, "reason",
                                     gimp_get_pdb_error(), NULL));
    if (image != -1)
        gimp_image_delete(image);
    return is_read;
}

// The same, but a file that has not changed since it was last read at this side is not opened again: a preview asks
// for it whenever a slider moves.
static gboolean read_kept_file(const char *path, gint side, guint place, Style *style, GError **error)
{
    static struct {
        char *key;
        Style style;
    } kept[2];
    GStatBuf file;
    if (g_stat(path, &file) != 0)
        return read_file(path, side, style, error);
    char *key = g_strdup_printf("%d %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %s", side, (gint64)file.st_mtime,
                                (gint64)file.st_size, path);
    gboolean is_there = g_strcmp0(key, kept[place].key) == 0;
    if (!is_there && read_file(path, side, style, error)) {
        g_free(kept[place].key);
        picture_unref(kept[place].style.picture);
        kept[place].key = g_strdup(key);
        kept[place].style = *style;
        is_there = TRUE;
    }
    g_free(key);
    if (!is_there)
        return FALSE;
    *style = kept[place].style;
    picture_ref(style->picture);
    return TRUE;
}

// Appends a style with its weight, where that is above 0; a file goes before a layer.
static gboolean append(Styles *styles, gint32 layer, const char *file, gint side, double weight, GError **error)
{
    if (weight <= 0)
        return TRUE;
    Style *style = &styles->entries[styles->count];
    gboolean is_read = !*file      ? read_layer(layer, side, style, error)
                       : side == 0 ? read_file(file, side, style, error)
                                   : read_kept_file(file, side, styles->count, style, error);
    if (!is_read)
        return FALSE;
    style->weight = weight;
    styles->count++;
    return TRUE;
}

gboolean styles_read(const Settings *settings, gint32 canvas, gint side, Styles *styles, GError **error)
{
    *styles = (Styles){.count = 0};
    if (settings->style == NO_LAYER && !*settings->style_file) {
        fail_without_style(canvas, error);
        return FALSE;
    }
    gboolean second = settings->second_style != NO_LAYER || *settings->second_style_file;
    double share = second ? settings->blend / 100 : 0;
    if (append(styles, settings->style, settings->style_file, side, 1 - share, error) &&
        append(styles, settings->second_style, settings->second_style_file, side, share, error))
        return TRUE;
    styles_clear(styles);
    return FALSE;
}

void styles_clear(Styles *styles)
{
    for (guint i = 0; i < styles->count; i++)
        picture_unref(styles->entries[i].picture);
    styles->count = 0;
}

static char *name_of(gint32 layer, const char *file)
{
    if (*file)
        return g_path_get_basename(file);
    return gimp_item_is_valid(layer) ? gimp_item_get_name(layer) : NULL;
}

char *styles_name(const Settings *settings)
{
    char *first = name_of(settings->style, settings->style_file);
    char *second = name_of(settings->second_style, settings->second_style_file);
    char *name = second ? g_strjoin(" + ", first, second, NULL) : g_strdup(first);
    g_free(first);
    g_free(second);
    return name;
}
