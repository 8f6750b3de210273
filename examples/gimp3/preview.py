"""The preview in the dialog: the whole canvas, painted small by the same pipeline, again whenever a setting changes.

It waits until the settings have rested a moment, gives up a render that is no longer wanted, and shows each picture as
it emerges. Press and hold it to see the original.
"""

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk

import canvas
import library
import styles
from library import Failure
from progress import duration, pixbuf
from rendering import Rendering
from translation import _

# What a hand that moves a slider takes between two values.
REST_MILLISECONDS = 400
SIDE = 320


class Preview(Gtk.Box):
    """Paints `layer` with the settings of `config`; the library is used only once it is shown."""

    def __init__(self, plugin, style_filter, layer, config):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._plugin, self._filter, self._layer, self._config = plugin, style_filter, layer, config
        self._layer_size = canvas.size(layer)
        self._original = canvas.read_small(layer)
        self._painted = None
        self._rendering = self._waiting = None
        self._picture = Gtk.Image()
        self._picture.set_size_request(SIDE, SIDE)
        touch = Gtk.EventBox()
        touch.set_tooltip_text(_("Press and hold to see the original"))
        touch.add(self._picture)
        touch.connect("button-press-event", lambda *_: self._show(self._original))
        touch.connect("button-release-event", lambda *_: self._show(self._painted or self._original))
        self._state = Gtk.Label(wrap=True, max_width_chars=40, xalign=0)
        self._cost = Gtk.Label(wrap=True, max_width_chars=40, xalign=0)
        for widget in (touch, self._state, self._cost):
            self.pack_start(widget, widget is touch, True, 0)
        self._show(self._original)
        config.connect("notify", lambda *_: self._restart())
        self._restart()

    def close(self):
        """Ends what is being painted. Nothing is shown any more."""
        self._give_up()
        if self._waiting:
            GLib.source_remove(self._waiting)
            self._waiting = None

    def _show(self, pixels):
        self._picture.set_from_pixbuf(pixbuf(pixels, SIDE))

    def _restart(self):
        self._give_up()
        if self._waiting:
            GLib.source_remove(self._waiting)
        self._waiting = GLib.timeout_add(REST_MILLISECONDS, self._start)

    def _give_up(self):
        if self._rendering:
            self._rendering.end(library.CANCEL)
            self._rendering = None

    def _start(self):
        self._waiting = None
        try:
            settings = self._filter.settings(self._config, preset_is_written_out=True)
            looks = [(read(canvas.look), weight) for read, weight in styles.of(self._config, self._layer)]
        except Failure as error:
            self._state.set_text(str(error))
            self._cost.set_text("")
            return GLib.SOURCE_REMOVE
        pictures = [(small, weight) for (small, _size), weight in looks]
        sizes = [style_size for (_small, style_size), _weight in looks]
        self._state.set_text(_("Painting the preview…"))
        rendering = Rendering(self._plugin, self._filter.id, settings, self._original, pictures,
                              lambda report: self._report(rendering, report),
                              lambda *outcome: self._end(rendering, *outcome),
                              lambda job: self._estimate(job, sizes))
        self._rendering = rendering
        rendering.start()
        return GLib.SOURCE_REMOVE

    def _report(self, rendering, report):
        if rendering is self._rendering and report.preview:
            self._painted = report.preview
            self._show(report.preview)

    def _end(self, rendering, _status, picture, _warnings, failure):
        if rendering is not self._rendering:
            return
        self._rendering = None
        if failure:
            self._state.set_text(str(failure))
            return
        self._painted = picture
        self._show(picture)
        self._state.set_text(_("Preview. Press and hold to see the original."))

    def _estimate(self, job, style_sizes):
        """Tells what Render would take. It is the worker that asks: the plugin may measure the machine first."""
        try:
            seconds, size = job.estimate(self._layer_size, style_sizes)
            text = _("Render will take about {time} and {memory:.1f} GB of memory.").format(
                time=duration(seconds), memory=size / 1e9)
        except Failure as error:
            text = str(error)
        GLib.idle_add(self._cost.set_text, text)
