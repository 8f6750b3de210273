// Between GIMP's drawables and the plugin's pictures.
//
// GIMP 2.10 hands a plug-in the numbers of its layers without their colour space. So they are read in the layer's own
// encoding and converted here, by the image's profile, and taken back the same way. What reaches a layer goes through
// GIMP's own merge, so that the selection and its feather hold, in one undo step.
#pragma once

#include <libgimp/gimp.h>

#include "picture.h"

// Of a picture made smaller for a preview, the longer side: what the eye can judge, and a processor paints in seconds.
#define CANVAS_PREVIEW_SIDE 256

// Refuses, in words, what cannot be painted on.
gboolean canvas_check(gint32 drawable, GError **error);

// All pixels of a drawable; or smaller, where one of its sides is longer than `side`, unless that is 0. NULL where it
// is gone, or there is not enough memory.
Picture *canvas_read(gint32 drawable, gint side, GError **error);

// Puts a picture of the drawable's size in its place as far as the selection goes, at an opacity of 0 to 100. One undo
// step. `painted` is changed. FALSE, and nothing done, where there is not enough memory.
gboolean canvas_replace(gint32 drawable, Picture *painted, double opacity, GError **error);

// Puts a picture above the drawable, as a layer; a selection becomes its mask. One undo step.
void canvas_add_layer(gint32 drawable, const Picture *painted, double opacity, const char *name);
