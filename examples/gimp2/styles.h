// Where a style comes from: a layer of any open image, or a picture file, which GIMP opens.
#pragma once

#include "canvas.h"
#include "settings.h"

// A style as it is handed to the plugin, and the size that it has itself.
typedef struct {
    Picture *picture;
    pentimento_size size;
    double weight;
} Style;

typedef struct {
    Style entries[2];
    guint count;
} Styles;

// Reads the styles that are chosen, smaller where one is longer than `side`, unless that is 0. Fails in words without
// one.
gboolean styles_read(const Settings *settings, gint32 canvas, gint side, Styles *styles, GError **error);
void styles_clear(Styles *styles);

// Forgets layers that are gone, and where there is no style then, chooses the layer that is most likely meant: the next
// one of the image, or else one of another image.
void styles_suggest(Settings *settings, gint32 canvas);

// What the chosen styles are called, for people. The caller frees it.
char *styles_name(const Settings *settings);
