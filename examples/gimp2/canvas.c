#include "canvas.h"

static gboolean check_there(gint32 drawable, GError **error)
{
    gboolean is_there = gimp_item_is_valid(drawable);
    if (!is_there)
        g_set_error_literal(error, FAILURE, 0, _("The layer is gone: it was deleted, or its image was closed."));
    return is_there;
}

gboolean canvas_check(gint32 drawable, GError **error)
{
    if (!check_there(drawable, error))
        return FALSE;
    const char *reason = NULL;
    gint x, y, width, height;
    if (!gimp_item_is_layer(drawable))
        reason = _("“{name}” is a mask or a channel. Choose a layer to paint on.");
    else if (gimp_item_is_group(drawable))
        reason = _("“{name}” is a layer group. Choose one of its layers, or merge the group first.");
    else if (gimp_drawable_is_indexed(drawable))
        reason = _("This image has a fixed palette. Choose Image ▸ Mode ▸ RGB first.");
    else if (gimp_item_get_lock_content(drawable))
        reason = _("The pixels of “{name}” are locked. Unlock them in the Layers dialog.");
    else if (!gimp_drawable_mask_intersect(drawable, &x, &y, &width, &height))
        reason = _("The selection does not touch “{name}”: there is nothing to paint.");
    if (!reason)
        return TRUE;
    char *name = gimp_item_get_name(drawable);
    texts_fail(error, texts_fill(reason, "name", name, NULL));
    g_free(name);
    return FALSE;
}

static gboolean is_linear(gint32 image)
{
    switch (gimp_image_get_precision(image)) {
    case GIMP_PRECISION_U8_LINEAR:
    case GIMP_PRECISION_U16_LINEAR:
    case GIMP_PRECISION_U32_LINEAR:
    case GIMP_PRECISION_HALF_LINEAR:
    case GIMP_PRECISION_FLOAT_LINEAR:
    case GIMP_PRECISION_DOUBLE_LINEAR:
        return TRUE;
    default:
        return FALSE;
    }
}

// The space of the image's profile; NULL, which is sRGB, where it has none or one that Babl cannot follow.
static const Babl *space_of(gint32 image)
{
    GimpColorProfile *profile = gimp_image_get_color_profile(image), *srgb = gimp_color_profile_new_rgb_srgb();
    const Babl *space = NULL;
    if (profile && !gimp_color_profile_is_equal(profile, srgb))
        space = gimp_color_profile_get_space(profile, GIMP_COLOR_RENDERING_INTENT_RELATIVE_COLORIMETRIC, NULL);
    g_clear_object(&profile);
    g_object_unref(srgb);
    return space;
}

// The samples in which a layer loses nothing; of all other precisions, and other spaces, float.
static guint samples_of(gint32 image, const Babl *space)
{
    if (space)
        return PENTIMENTO_FORMAT_F32;
    switch (gimp_image_get_precision(image)) {
    case GIMP_PRECISION_U8_GAMMA:
        return PENTIMENTO_FORMAT_U8;
    case GIMP_PRECISION_U16_GAMMA:
        return PENTIMENTO_FORMAT_U16;
    default:
        return PENTIMENTO_FORMAT_F32;
    }
}

Picture *canvas_read(gint32 drawable, gint side, GError **error)
{
    if (!check_there(drawable, error))
        return NULL;
    gint width = gimp_drawable_width(drawable), height = gimp_drawable_height(drawable);
    double scale = side > 0 && MAX(width, height) > side ? (double)side / MAX(width, height) : 1.0;
    gint small_width = MAX(1, (gint)(width * scale + 0.5)), small_height = MAX(1, (gint)(height * scale + 0.5));
    gint32 image = gimp_item_get_image(drawable);
    const Babl *space = space_of(image);
    Picture *picture = picture_new((guint)small_width, (guint)small_height, gimp_drawable_is_gray(drawable),
                                   gimp_drawable_has_alpha(drawable), samples_of(image, space));
    if (!picture) {
        g_set_error_literal(error, FAILURE, 0, _("There is not enough memory for the picture itself."));
        return NULL;
    }
    GeglBuffer *buffer = gimp_drawable_get_buffer(drawable);
    gboolean linear = is_linear(image);
    const Babl *stored = picture_format(picture, linear, babl_format_get_space(gegl_buffer_get_format(buffer)));
    gegl_buffer_get(buffer, GEGL_RECTANGLE(0, 0, small_width, small_height), scale, stored, picture->image.pixels,
                    GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_CLAMP);
    g_object_unref(buffer);
    const Babl *encoded = picture_format(picture, FALSE, NULL), *own = picture_format(picture, linear, space);
    if (own != encoded)
        babl_process(babl_fish(own, encoded), picture->image.pixels, picture->image.pixels,
                     (glong)small_width * small_height);
    return picture;
}

// Writes a picture into a buffer of an image. The picture's own memory stays as it is.
static void write_into(GeglBuffer *buffer, gint32 image, const Picture *picture)
{
    gboolean linear = is_linear(image);
    const Babl *fish =
        babl_fish(picture_format(picture, FALSE, NULL), picture_format(picture, linear, space_of(image)));
    const Babl *stored = picture_format(picture, linear, babl_format_get_space(gegl_buffer_get_format(buffer)));
    gint width = (gint)picture->image.width;
    void *row = g_malloc((gsize)picture->image.row_stride);
    for (guint y = 0; y < picture->image.height; y++) {
        babl_process(fish, (const char *)picture->image.pixels + y * picture->image.row_stride, row, width);
        gegl_buffer_set(buffer, GEGL_RECTANGLE(0, (gint)y, width, 1), 0, stored, row, GEGL_AUTO_ROWSTRIDE);
    }
    g_free(row);
    gegl_buffer_flush(buffer);
}

gboolean canvas_replace(gint32 drawable, Picture *painted, double opacity, GError **error)
{
    gint32 image = gimp_item_get_image(drawable);
    if (opacity < 100) {
        Picture *below = canvas_read(drawable, 0, error);
        if (!below)
            return FALSE;
        picture_mix(below, painted, opacity / 100);
        picture_unref(below);
    }
    gimp_image_undo_group_start(image);
    GeglBuffer *shadow = gimp_drawable_get_shadow_buffer(drawable);
    write_into(shadow, image, painted);
    g_object_unref(shadow);
    gimp_drawable_merge_shadow(drawable, TRUE);
    gimp_drawable_update(drawable, 0, 0, (gint)painted->image.width, (gint)painted->image.height);
    gimp_image_undo_group_end(image);
    return TRUE;
}

void canvas_add_layer(gint32 drawable, const Picture *painted, double opacity, const char *name)
{
    gint32 image = gimp_item_get_image(drawable);
    gint x, y;
    gimp_image_undo_group_start(image);
    gint32 layer = gimp_layer_new(image, name, (gint)painted->image.width, (gint)painted->image.height,
                                  gimp_drawable_type(drawable), opacity, gimp_image_get_default_new_layer_mode(image));
    GeglBuffer *buffer = gimp_drawable_get_buffer(layer);
    write_into(buffer, image, painted);
    g_object_unref(buffer);
    gimp_image_insert_layer(image, layer, gimp_item_get_parent(drawable),
                            gimp_image_get_item_position(image, drawable));
    gimp_drawable_offsets(drawable, &x, &y);
    gimp_layer_set_offsets(layer, x, y);
    if (!gimp_selection_is_empty(image))
        gimp_layer_add_mask(layer, gimp_layer_create_mask(layer, GIMP_ADD_MASK_SELECTION));
    gimp_image_undo_group_end(image);
}
