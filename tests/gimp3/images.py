"""The image of `screen.py`, and what must have become of it: run inside GIMP by `tests/tests/gimp3.rs`."""

from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio

FOLDER = Path(__file__).resolve().parent


def file(name):
    return Gio.File.new_for_path(str(FOLDER / name))


def make():
    """Writes canvas.xcf: the content above two styles."""
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file("content.png"))
    for place in (1, 2):
        style = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image, file("style.png"))
        image.insert_layer(style, None, place)
    for layer, name in zip(image.get_layers(), ("Cat", "Evening", "Night")):
        layer.set_name(name)
    image.set_selected_layers(image.get_layers()[:1])
    for name in ("canvas.xcf", "original.xcf"):
        Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file(name), None)


def layers(name):
    """The names and pixels of an image's layers, from the top."""
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file(name))
    found = []
    for layer in image.get_layers():
        rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
        found.append((layer.get_name(), layer.get_buffer().get(rectangle, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE)))
    image.delete()
    return found


def judge():
    """Looks at what `screen.py` left behind."""
    original = layers("original.xcf")
    for name in ("undone", "cancelled"):
        assert layers(f"{name}.xcf") == original, f"{name}: the image is not as it was"
    for name in ("stopped", "after_kill"):
        (content_name, content), *styles = layers(f"{name}.xcf")
        assert content_name == original[0][0] and styles == original[1:], f"{name}: more has changed than the layer"
        changed = sum(a != b for a, b in zip(content, original[0][1])) / len(content)
        assert changed > 0.5, f"{name}: the layer is not painted"

    # A layer that was turned while it was being painted is left as it is, and its picture is not lost.
    painted, turned, *_styles = layers("rotated.xcf")
    assert painted[0] == "Neural Style Transfer: Night", painted[0]
    assert turned[0] == original[0][0]
    assert len(painted[1]) == len(turned[1]) and painted[1] != turned[1]
