#include "picture.h"

// The sides and the two grays of the squares behind what is transparent.
enum { SQUARE = 8, LIGHT = 0x999999, DARK = 0x666666 };

static gsize sample_size(guint samples)
{
    return samples == PENTIMENTO_FORMAT_U8 ? 1 : samples == PENTIMENTO_FORMAT_U16 ? 2 : sizeof(float);
}

static void clear(gpointer picture)
{
    g_free(((Picture *)picture)->image.pixels);
}

Picture *picture_new(guint width, guint height, gboolean gray, gboolean alpha, guint samples)
{
    static const guint layouts[2][2] = {{PENTIMENTO_LAYOUT_RGB, PENTIMENTO_LAYOUT_RGBA},
                                        {PENTIMENTO_LAYOUT_GRAY, PENTIMENTO_LAYOUT_GRAY_ALPHA}};
    guint channels = (gray ? 1 : 3) + (alpha ? 1 : 0);
    gsize pixel_size = channels * sample_size(samples);
    void *pixels = g_try_malloc_n((gsize)width * height, pixel_size);
    if (!pixels)
        return NULL;
    Picture *picture = g_atomic_rc_box_new0(Picture);
    picture->channels = channels;
    picture->image = (pentimento_image){
        .struct_size = sizeof(pentimento_image), .width = width, .height = height, .format = samples,
        .layout = layouts[gray ? 1 : 0][alpha ? 1 : 0], .transfer = PENTIMENTO_TRANSFER_SRGB,
        .row_stride = (int64_t)(width * pixel_size), .pixels = pixels};
    return picture;
}

Picture *picture_new_like(const Picture *other)
{
    return picture_new(other->image.width, other->image.height, other->channels < 3, picture_has_alpha(other),
                       other->image.format);
}

Picture *picture_ref(Picture *picture)
{
    return g_atomic_rc_box_acquire(picture);
}

void picture_unref(Picture *picture)
{
    if (picture)
        g_atomic_rc_box_release_full(picture, clear);
}

gboolean picture_has_alpha(const Picture *picture)
{
    return picture->channels % 2 == 0;
}

static const Babl *format(const Picture *picture, gboolean linear, const char *samples, const Babl *space)
{
    static const char *const channels[2][4] = {{"Y'", "Y'A", "R'G'B'", "R'G'B'A"}, {"Y", "YA", "RGB", "RGBA"}};
    char *name = g_strdup_printf("%s %s", channels[linear ? 1 : 0][picture->channels - 1], samples);
    const Babl *format = babl_format_with_space(name, space);
    g_free(name);
    return format;
}

const Babl *picture_format(const Picture *picture, gboolean linear, const Babl *space)
{
    const char *samples = picture->image.format == PENTIMENTO_FORMAT_U8    ? "u8"
                          : picture->image.format == PENTIMENTO_FORMAT_U16 ? "u16"
                                                                           : "float";
    return format(picture, linear, samples, space);
}

void picture_mix(const Picture *below, Picture *above, double share)
{
    const Babl *encoded = picture_format(above, FALSE, NULL), *linear = format(above, TRUE, "float", NULL);
    const Babl *into_light = babl_fish(encoded, linear), *back = babl_fish(linear, encoded);
    glong width = (glong)above->image.width;
    gsize samples = (gsize)width * above->channels;
    float *lower = g_new(float, samples), *upper = g_new(float, samples);
    for (guint y = 0; y < above->image.height; y++) {
        int64_t start = y * above->image.row_stride;
        babl_process(into_light, (const char *)below->image.pixels + start, lower, width);
        babl_process(into_light, (const char *)above->image.pixels + start, upper, width);
        for (gsize i = 0; i < samples; i++)
            upper[i] = lower[i] + (float)share * (upper[i] - lower[i]);
        babl_process(back, upper, (char *)above->image.pixels + start, width);
    }
    g_free(lower);
    g_free(upper);
}

GdkPixbuf *picture_scaled(GdkPixbuf *pixbuf, int side)
{
    int width = gdk_pixbuf_get_width(pixbuf), height = gdk_pixbuf_get_height(pixbuf);
    double scale = (double)side / MAX(width, height);
    int new_width = MAX(1, (int)(width * scale + 0.5)), new_height = MAX(1, (int)(height * scale + 0.5));
    GdkPixbuf *scaled =
        gdk_pixbuf_get_has_alpha(pixbuf)
            ? gdk_pixbuf_composite_color_simple(pixbuf, new_width, new_height, GDK_INTERP_BILINEAR, 255, SQUARE, LIGHT,
                                                DARK)
            : gdk_pixbuf_scale_simple(pixbuf, new_width, new_height, GDK_INTERP_BILINEAR);
    g_object_unref(pixbuf);
    return scaled;
}

GdkPixbuf *picture_pixbuf(const Picture *picture, int side)
{
    gboolean alpha = picture_has_alpha(picture);
    int width = (int)picture->image.width, height = (int)picture->image.height;
    GdkPixbuf *pixbuf = gdk_pixbuf_new(GDK_COLORSPACE_RGB, alpha, 8, width, height);
    if (!pixbuf)
        return NULL;
    const Babl *fish = babl_fish(picture_format(picture, FALSE, NULL), babl_format(alpha ? "R'G'B'A u8" : "R'G'B' u8"));
    for (int y = 0; y < height; y++)
        babl_process(fish, (const char *)picture->image.pixels + y * picture->image.row_stride,
                     gdk_pixbuf_get_pixels(pixbuf) + (gsize)y * (gsize)gdk_pixbuf_get_rowstride(pixbuf), width);
    return picture_scaled(pixbuf, side);
}
