"""The dialog: GIMP's own, with its Reset, stored settings and last values, filled from the manifest.

What matters first is in sight; what the manifest calls advanced is folded away.
"""

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import GimpUi, GObject, Gtk

from choosers import StyleChooser
from preview import Preview
from translation import _

CONTROLS_WIDTH = 420
# What the dialog has above and below the controls, and a panel of the desktop.
BESIDE_CONTROLS = 280
SMALLEST_HEIGHT = 200


class StyleDialog(GimpUi.ProcedureDialog):
    """Asks for the settings of `style_filter` and leaves them in `config`."""

    def __init__(self, procedure, config, plugin, style_filter, layer):
        super().__init__(procedure=procedure, config=config, title=style_filter.label)
        self._filter, self._config = style_filter, config
        self._names, self._labels = [], []
        self.set_ok_label(_("Re_nder"))
        columns = Gtk.Box(spacing=18, border_width=12)
        self.get_content_area().pack_start(columns, True, True, 0)
        self._preview = Preview(plugin, style_filter, layer, config)
        columns.pack_start(self._preview, False, True, 0)
        controls = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=12)
        controls.set_size_request(CONTROLS_WIDTH, -1)
        columns.pack_start(self._scrolled(controls), True, True, 0)
        controls.pack_start(self._styles(layer), False, True, 0)
        controls.pack_start(self._second_style(layer), False, True, 0)
        for group in self._groups(advanced=False):
            controls.pack_start(self._group(group, advanced=False), False, True, 0)
        self.get_scale_entry("opacity", 1.0)
        controls.pack_start(self._frame(_("Result"), ["output", "opacity"]), False, True, 0)
        controls.pack_start(self._advanced(), True, True, 0)
        if style_filter.preset:
            config.connect(f"notify::{style_filter.preset.name}", lambda *_: style_filter.write_out_preset(config))
        self._align_labels()
        columns.show_all()

    def ask(self):
        """Whether to render."""
        agreed = self.run()
        self._preview.close()
        self.destroy()
        return agreed

    def _groups(self, advanced):
        """The names of groups in the manifest's order."""
        return dict.fromkeys(parameter.group for parameter in self._filter.parameters if parameter.advanced == advanced)

    def _group(self, group, advanced):
        members = [parameter for parameter in self._filter.parameters
                   if (parameter.group, parameter.advanced) == (group, advanced)]
        for parameter in members:
            if parameter.kind in ("float", "integer"):
                low, high = parameter.soft
                entry = self.get_scale_entry(parameter.name, 1.0)
                # The slider moves in the comfortable range; any allowed number can be typed.
                entry.set_bounds(low, high, True)
                entry.set_increments(parameter.step, min(10 * parameter.step, high - low))
        return self._frame(_(group), [parameter.name for parameter in members])

    def _styles(self, layer):
        chooser = StyleChooser(self._config, "style", "style-file", layer)
        self._labels += chooser.labels
        frame = GimpUi.Frame.new(_("Style picture"))
        frame.add(chooser)
        return frame

    def _second_style(self, layer):
        chooser = StyleChooser(self._config, "second-style", "second-style-file", layer)
        self._labels += chooser.labels
        self.get_scale_entry("blend", 1.0)
        inside = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin_start=12)
        inside.pack_start(chooser, False, True, 0)
        inside.pack_start(self._indented(["blend"]), False, True, 0)
        expander = Gtk.Expander(label=_("Second style"))
        expander.add(inside)
        chosen = (self._config.get_property(name) for name in ("second-style", "second-style-file"))
        expander.set_expanded(any(value is not None for value in chosen))
        return expander

    def _advanced(self):
        inside = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=12)
        for group in self._groups(advanced=True):
            inside.pack_start(self._group(group, advanced=True), False, True, 0)
        expander = Gtk.Expander(label=_("Advanced"), spacing=6)
        expander.add(inside)
        return expander

    def _scrolled(self, controls):
        """As high as they are, but never higher than the screen."""
        monitor = self.get_display().get_primary_monitor() or self.get_display().get_monitor(0)
        room = max(monitor.get_workarea().height - BESIDE_CONTROLS, SMALLEST_HEIGHT)
        scrolled = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER, propagate_natural_height=True,
                                      max_content_height=room)
        scrolled.add(controls)
        return scrolled

    def _align_labels(self):
        """All controls begin at one line."""
        widths = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
        controls = (self.get_widget(name, GObject.TYPE_NONE) for name in self._names)
        labels = [control.get_label() for control in controls if isinstance(control, GimpUi.Labeled)]
        for label in self._labels + labels:
            widths.add_widget(label)

    def _frame(self, title, names):
        frame = GimpUi.Frame.new(title)
        frame.add(self._indented(names))
        return frame

    def _indented(self, names):
        """The controls of these arguments, one below the other."""
        self._names += names
        return self.fill_box(f"box-{names[0]}", names)


GObject.type_register(StyleDialog)
