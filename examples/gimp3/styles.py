"""Where a style comes from: a layer of any open image, or a picture file."""

from functools import lru_cache

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, Gio, GLib

import canvas
from library import Failure
from translation import _


def of(config, canvas_layer):
    """The styles that are chosen, as pairs of a function and a weight. What the function is given, such as
    `canvas.read`, it applies to the style's layer; it returns what comes of that. Without a style it fails in words."""
    first = _chosen(config, "style", "style-file")
    second = _chosen(config, "second-style", "second-style-file")
    if first is None:
        raise Failure(_missing(canvas_layer))
    blend = config.get_property("blend") / 100
    weighted = [(first, 1 - blend), (second, blend)] if second else [(first, 1.0)]
    return [(read, weight) for read, weight in weighted if weight > 0]


def suggest(config, canvas_layer):
    """Chooses the layer that is most likely meant where there is no style yet: the next one of the image, or else one
    of another image."""
    others = _other_layers(canvas_layer)
    if others and config.get_property("style") is None and config.get_property("style-file") is None:
        config.set_property("style", others[0])


def _other_layers(canvas_layer):
    own = canvas_layer.get_image()
    images = [own] + [image for image in Gimp.get_images() if image != own]
    layers = [layer for image in images for layer in image.get_layers()]
    # Those below the canvas come first.
    if canvas_layer in layers:
        place = layers.index(canvas_layer)
        layers = layers[place + 1:] + layers[:place]
    return [layer for layer in layers if not layer.is_group()]


def _missing(canvas_layer):
    if _other_layers(canvas_layer):
        return _("Choose a style: another layer, or a picture file.")
    return _("There is no other layer to take a style from. Open the style picture as a layer "
             "(File ▸ Open as Layers), open it as an image of its own, or choose a file.")


def _chosen(config, layer_argument, file_argument):
    """What reads the style of these two arguments; a file goes before a layer."""
    file = config.get_property(file_argument)
    if file is not None:
        return lambda how: _read_file(file, how)
    layer = config.get_property(layer_argument)
    if layer is None:
        return None
    return lambda how: _read_layer(layer, how)


def _read_layer(layer, how):
    if not layer.is_valid():
        raise Failure(_("The style layer is gone: its image was closed. Choose another."))
    return how(layer)


def _read_file(file, how):
    path = file.get_path()
    if path is None:
        raise Failure(_("“{name}” is not a file on this computer.").format(name=file.get_uri()))
    try:
        information = file.query_info("time::modified,standard::size", Gio.FileQueryInfoFlags.NONE, None)
    except GLib.Error as error:
        raise Failure(_("The style cannot be read: {reason}").format(reason=error.message)) from None
    changed = information.get_attribute_uint64("time::modified"), information.get_size()
    return _read_path(path, changed, how)


@lru_cache(maxsize=4)
def _read_path(path, _changed, how):
    """Through GIMP, which opens whatever it knows, and forgotten when the file changes."""
    try:
        image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(path))
    except GLib.Error as error:
        raise Failure(_("The style “{path}” cannot be opened: {reason}").format(
            path=path, reason=error.message)) from None
    if image is None:
        raise Failure(_("The style “{path}” cannot be opened.").format(path=path))
    try:
        return how(image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE))
    finally:
        image.delete()


def name(config):
    """What the chosen styles are called, for people."""
    names = [_name(config, "style", "style-file"), _name(config, "second-style", "second-style-file")]
    return " + ".join(filter(None, names))


def _name(config, layer_argument, file_argument):
    file, layer = config.get_property(file_argument), config.get_property(layer_argument)
    if file is not None:
        return file.get_basename()
    return layer.get_name() if layer is not None else ""
