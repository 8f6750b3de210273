// A picture in memory of its own: sRGB-encoded, straight alpha, gray or colour, of any of the plugin's integer samples
// or float. It is counted by who holds it, since threads that were given up may still look at one.
#pragma once

#include <gegl.h>
#include <gdk-pixbuf/gdk-pixbuf.h>

#include "library.h"

typedef struct {
    pentimento_image image;
    guint channels;
} Picture;

// NULL where there is not enough memory. `samples` is PENTIMENTO_FORMAT_U8, _U16 or _F32.
Picture *picture_new(guint width, guint height, gboolean gray, gboolean alpha, guint samples);
Picture *picture_new_like(const Picture *other);
Picture *picture_ref(Picture *picture);
// NULL is allowed.
void picture_unref(Picture *picture);

gboolean picture_has_alpha(const Picture *picture);

// The Babl format of its pixels, or of the same samples proportional to light, in a space, NULL for sRGB.
const Babl *picture_format(const Picture *picture, gboolean linear, const Babl *space);

// Makes `above` the mixture of both, of one size and kind, with so much of `above`, 0 to 1. It is mixed in linear
// light.
void picture_mix(const Picture *below, Picture *above, double share);

// The picture for the screen, its longer side so many pixels at most; NULL where there is not enough memory.
GdkPixbuf *picture_pixbuf(const Picture *picture, int side);

// Any picture for the screen, as large as that; what is transparent shows a chequered ground. Takes over `pixbuf`.
GdkPixbuf *picture_scaled(GdkPixbuf *pixbuf, int side);
