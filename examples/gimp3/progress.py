"""The window of a render: the picture as it emerges, how far it is, and two ways to end it."""

import math

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GdkPixbuf", "2.0")
from gi.repository import GdkPixbuf, GLib, Gtk

import library
from translation import _

PICTURE_SIDE = 384
KEEP = 1


def pixbuf(pixels, side):
    """A picture of 8 bits for the screen, its longer side so many pixels at most."""
    if pixels.layout in (library.LAYOUT_GRAY, library.LAYOUT_GRAY_ALPHA):
        pixels = coloured(pixels)
    alpha = pixels.layout == library.LAYOUT_RGBA
    channels = library.CHANNELS[pixels.layout]
    picture = GdkPixbuf.Pixbuf.new_from_bytes(GLib.Bytes.new(bytes(pixels.data)), GdkPixbuf.Colorspace.RGB, alpha, 8,
                                              pixels.width, pixels.height, pixels.width * channels)
    scale = side / max(pixels.width, pixels.height)
    width, height = max(1, round(pixels.width * scale)), max(1, round(pixels.height * scale))
    if alpha:
        return picture.composite_color_simple(width, height, GdkPixbuf.InterpType.BILINEAR, 255, 8, 0x999999, 0x666666)
    return picture.scale_simple(width, height, GdkPixbuf.InterpType.BILINEAR)


def coloured(pixels):
    """A gray picture of 8 bits with its gray in three channels."""
    alpha = pixels.layout == library.LAYOUT_GRAY_ALPHA
    step = 2 if alpha else 1
    layout = library.LAYOUT_RGBA if alpha else library.LAYOUT_RGB
    data = bytearray(pixels.width * pixels.height * library.CHANNELS[layout])
    for channel in range(3):
        data[channel::library.CHANNELS[layout]] = pixels.data[0::step]
    if alpha:
        data[3::4] = pixels.data[1::2]
    return library.Pixels(pixels.width, pixels.height, library.FORMAT_U8, layout, data)


def duration(seconds):
    """A length of time as people say it; "" while it is unknown."""
    if math.isnan(seconds):
        return ""
    if seconds < 90:
        return _("{n} s").format(n=max(1, round(seconds)))
    return _("{n} min").format(n=round(seconds / 60))


class ProgressWindow(Gtk.Dialog):
    """`on_end_wished(how)` is called with library.STOP or library.CANCEL."""

    def __init__(self, title, on_end_wished):
        super().__init__(title=title)
        self._on_end_wished = on_end_wished
        self.set_border_width(12)
        self.set_position(Gtk.WindowPosition.CENTER)
        self._picture = Gtk.Image()
        self._picture.set_size_request(PICTURE_SIDE, PICTURE_SIDE * 2 // 3)
        self._bar = Gtk.ProgressBar(show_text=True, text="")
        self._line = Gtk.Label(label=_("Preparing…"), xalign=0)
        box = self.get_content_area()
        box.set_spacing(12)
        for widget in (self._picture, self._bar, self._line):
            box.pack_start(widget, widget is self._picture, True, 0)
        self._keep = self.add_button(_("_Stop and keep"), KEEP)
        self._keep.set_tooltip_text(_("Ends here and paints the layer with the picture as it is now."))
        cancel = self.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
        cancel.set_tooltip_text(_("Ends here and leaves the layer as it was."))
        self.connect("response", self._respond)
        # GTK would destroy the window; it closes when the render has ended.
        self.connect("delete-event", lambda *_: True)
        self.show_all()
        # The key that began the render, pressed once more, is not to end it.
        self.set_focus(None)

    def report(self, report):
        """Shows how far it is."""
        self._bar.set_fraction(report.fraction)
        self._bar.set_text(f"{report.fraction:.0%}")
        left = duration(report.seconds_left)
        # What a plugin of another version says is shown as it is.
        stages = {"looking at the canvas": _("Looking at the canvas"), "painting": _("Painting"),
                  "looking at the style": _("Looking at the style")}
        stage = stages.get(report.stage, report.stage)
        self._line.set_text(_("{stage}: {time} left").format(stage=stage, time=left) if left else stage)
        if report.preview:
            self._picture.set_from_pixbuf(pixbuf(report.preview, PICTURE_SIDE))

    def _respond(self, _dialog, response):
        # Closing the window is the same wish as Cancel.
        how = library.STOP if response == KEEP else library.CANCEL
        self._line.set_text(_("Stopping…") if how == library.STOP else _("Cancelling…"))
        self._keep.set_sensitive(False)
        self._on_end_wished(how)
