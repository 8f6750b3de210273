"""Choosing a style: a list of the layers of all open images with their thumbnails, or a picture file."""

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gimp, GimpUi, GObject, Gtk

from translation import _

NO_LAYER = -1


class StyleChooser(Gtk.Grid):
    """Keeps the two arguments of a style in `config` and on the screen the same. A file goes before a layer."""

    def __init__(self, config, layer_argument, file_argument, unwanted):
        super().__init__(row_spacing=6, column_spacing=6)
        self._config, self._layer_argument, self._file_argument = config, layer_argument, file_argument
        self._layers = GimpUi.LayerComboBox.new(lambda _image, layer: layer != unwanted and not layer.is_group())
        self._layers.set_tooltip_text(_("The layer whose manner the picture takes on"))
        self._add_row_for_none()
        self._file = GimpUi.prop_file_chooser_new(config, file_argument, None, _("Choose a style picture"))
        # It begins with the argument's name; ours stands in the column of labels.
        self._file.get_label_widget().set_no_show_all(True)
        self._file.get_label_widget().hide()
        self._file.set_tooltip_text(_("A picture file to take the style from, in place of a layer"))
        self._no_file = Gtk.Button.new_from_icon_name("edit-clear", Gtk.IconSize.BUTTON)
        self._no_file.set_tooltip_text(_("Forget the file, and take the style from the layer"))
        self._no_file.connect("clicked", lambda _button: config.set_property(file_argument, None))
        self.labels = [Gtk.Label.new_with_mnemonic(text) for text in (_("La_yer"), _("or _file"))]
        self.labels[0].set_mnemonic_widget(self._layers)
        self.labels[1].set_mnemonic_widget(self._file)
        for row, (label, control) in enumerate(zip(self.labels, (self._layers, self._file))):
            label.set_xalign(0)
            control.set_hexpand(True)
            self.attach(label, 0, row, 1, 1)
            self.attach(control, 1, row, 1, 1)
        self.attach(self._no_file, 2, 1, 1, 1)
        self._show()
        # GIMP's combo box has a method `connect` of its own.
        GObject.Object.connect(self._layers, "changed", lambda _layers: self._take_layer())
        for argument in (layer_argument, file_argument):
            config.connect(f"notify::{argument}", lambda *_: self._show())

    def _add_row_for_none(self):
        rows = self._layers.get_model()
        columns = GimpUi.IntStoreColumns
        rows.insert_with_values(0, [columns.VALUE, columns.LABEL], [NO_LAYER, _("None")])

    def _take_layer(self):
        chosen, number = self._layers.get_active()
        layer = Gimp.Layer.get_by_id(number) if chosen and number != NO_LAYER else None
        if layer != self._config.get_property(self._layer_argument):
            self._config.set_property(self._layer_argument, layer)

    def _show(self):
        layer = self._config.get_property(self._layer_argument)
        self._layers.set_active(layer.get_id() if layer is not None else NO_LAYER)
        has_file = self._config.get_property(self._file_argument) is not None
        self._layers.set_sensitive(not has_file)
        self._no_file.set_sensitive(has_file)
