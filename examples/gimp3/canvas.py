"""Between GIMP's layers and the plugin's pictures.

GEGL converts: asked for sRGB (a Babl format without a space of its own), it hands out any layer's pixels as the network
wants them, whatever the image's precision and profile, and takes them back the same way. What reaches the layer goes
through GIMP's own merge, so that the selection and its feather hold, in one undo step.
"""

from contextlib import contextmanager

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp

import library
from library import Failure, Pixels
from translation import _

P = Gimp.Precision
# The samples in which a layer loses nothing; all other precisions go as float.
SAMPLES = {
    P.U8_NON_LINEAR: library.FORMAT_U8, P.U8_PERCEPTUAL: library.FORMAT_U8,
    P.U16_NON_LINEAR: library.FORMAT_U16, P.U16_PERCEPTUAL: library.FORMAT_U16,
}
BABL_SAMPLES = {library.FORMAT_U8: "u8", library.FORMAT_U16: "u16", library.FORMAT_F32: "float"}
BABL_COLOURS = {library.LAYOUT_GRAY: "Y'", library.LAYOUT_GRAY_ALPHA: "Y'A",
                library.LAYOUT_RGB: "R'G'B'", library.LAYOUT_RGBA: "R'G'B'A"}


# Of a picture made smaller, the longer side: what the eye can judge, and a processor paints in seconds.
PREVIEW_SIDE = 256


def babl_format(pixels):
    return f"{BABL_COLOURS[pixels.layout]} {BABL_SAMPLES[pixels.format]}"


def layout_of(drawable):
    if drawable.is_gray():
        return library.LAYOUT_GRAY_ALPHA if drawable.has_alpha() else library.LAYOUT_GRAY
    return library.LAYOUT_RGBA if drawable.has_alpha() else library.LAYOUT_RGB


def check_there(drawable):
    """Refuses a layer that was there before."""
    if not drawable.is_valid():
        raise Failure(_("The layer is gone: it was deleted, or its image was closed."))


def check(drawable):
    """Refuses, in words, what cannot be painted on."""
    check_there(drawable)
    name = drawable.get_name()
    if not drawable.is_layer():
        raise Failure(_("“{name}” is a mask or a channel. Choose a layer to paint on.").format(name=name))
    if drawable.is_group():
        raise Failure(_("“{name}” is a layer group. Choose one of its layers, or merge the group first.").format(
            name=name))
    if drawable.is_indexed():
        raise Failure(_("This image has a fixed palette. Choose Image ▸ Mode ▸ RGB first."))
    if drawable.get_lock_content():
        raise Failure(_("The pixels of “{name}” are locked. Unlock them in the Layers dialog.").format(name=name))
    if not drawable.mask_intersect()[0]:
        raise Failure(_("The selection does not touch “{name}”: there is nothing to paint.").format(name=name))


def read(drawable):
    """All pixels of a layer."""
    sample_format = SAMPLES.get(drawable.get_image().get_precision(), library.FORMAT_F32)
    return _read(drawable, drawable.get_width(), drawable.get_height(), 1.0, sample_format)


def size(drawable):
    """The width and height of a layer."""
    return drawable.get_width(), drawable.get_height()


def read_small(drawable):
    """A layer in 8 bits, made smaller for a preview where it is large."""
    width, height = size(drawable)
    scale = min(1.0, PREVIEW_SIDE / max(width, height))
    return _read(drawable, max(1, round(width * scale)), max(1, round(height * scale)), scale, library.FORMAT_U8)


def look(drawable):
    """A layer as `read_small` has it, and its own size."""
    return read_small(drawable), size(drawable)


def _read(drawable, width, height, scale, sample_format):
    layout = layout_of(drawable)
    kind = f"{BABL_COLOURS[layout]} {BABL_SAMPLES[sample_format]}"
    rectangle = Gegl.Rectangle.new(0, 0, width, height)
    data = drawable.get_buffer().get(rectangle, scale, kind, Gegl.AbyssPolicy.CLAMP)
    return Pixels(width, height, sample_format, layout, data)


def buffer_of(pixels):
    """A GEGL buffer with these pixels."""
    buffer = Gegl.Buffer.new(babl_format(pixels), 0, 0, pixels.width, pixels.height)
    buffer.set(Gegl.Rectangle.new(0, 0, pixels.width, pixels.height), babl_format(pixels), bytes(pixels.data))
    return buffer


@contextmanager
def undo_step(image):
    image.undo_group_start()
    try:
        yield
    finally:
        image.undo_group_end()


def replace(drawable, painted, opacity):
    """Puts a picture of the layer's size in the place of the layer's own, as far as the selection goes, at an opacity
    of 0 to 100."""
    shadow = drawable.get_shadow_buffer()
    _mix(drawable.get_buffer(), buffer_of(painted), opacity, shadow)
    shadow.flush()
    drawable.merge_shadow(True)
    drawable.update(0, 0, drawable.get_width(), drawable.get_height())


def _mix(below, above, opacity, into):
    """Writes so much per cent of `above`, and of `below` the rest, into a third buffer."""
    graph = Gegl.Node()
    written = graph.create_child("gegl:write-buffer")
    written.set_property("buffer", into)
    painted = graph.create_child("gegl:buffer-source")
    painted.set_property("buffer", above)
    if opacity < 100:
        original = graph.create_child("gegl:buffer-source")
        original.set_property("buffer", below)
        mixed = graph.create_child("gegl:mix")
        mixed.set_property("ratio", opacity / 100)
        original.connect_to("output", mixed, "input")
        painted.connect_to("output", mixed, "aux")
        painted = mixed
    painted.connect_to("output", written, "input")
    written.process()


def add_layer(drawable, painted, opacity, name):
    """Puts a picture of the layer's size above the layer, as a layer of its own; a selection becomes its mask."""
    image = drawable.get_image()
    layer = Gimp.Layer.new(image, name, painted.width, painted.height, drawable.type(), opacity,
                           image.get_default_new_layer_mode())
    buffer = layer.get_buffer()
    _mix(None, buffer_of(painted), 100, buffer)
    buffer.flush()
    image.insert_layer(layer, drawable.get_parent(), image.get_item_position(drawable))
    offsets = drawable.get_offsets()
    layer.set_offsets(offsets.offset_x, offsets.offset_y)
    if not Gimp.Selection.is_empty(image):
        layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
    return layer
