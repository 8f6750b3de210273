#!/usr/bin/env python3
"""Pentimento in GIMP 3: a host of the plugin whose library lies beside this file.

This file registers a procedure for each filter of the manifest and runs it. What it needs lies in modules of one idea
each: the plugin (`library`, which lies in ../python-host, and `finding`), its parameters (`parameters`), layers (`canvas`), styles (`styles`), the worker thread
(`rendering`) and the windows (`dialog`, `preview`, `progress`).

GIMP's own Cancel kills a plug-in at once, so a render has a window of its own; the image is touched at the very end
only, and a kill at any moment leaves it as it was.
"""

import sys
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, GLib

import canvas
import finding
import library
import styles
from library import Failure
from parameters import FLAGS, Manifest, choice
from rendering import Rendering
from translation import _

FOLDER = Path(__file__).resolve().parent
REPLACE, NEW_LAYER = "replace", "new-layer"


def outputs():
    return choice([
        {"id": REPLACE, "label": _("Replace the layer"), "help": _("Paints on the layer itself.")},
        {"id": NEW_LAYER, "label": _("New layer"), "help": _("Leaves the layer and puts the picture above it.")},
    ])


def arguments_of(procedure, style_filter):
    """What the procedure is called with: the styles, the manifest's parameters, and where the result goes."""
    picked = Gimp.FileChooserAction.OPEN
    procedure.add_drawable_argument("style", _("Layer"), _("The layer whose manner the picture takes on"), True, FLAGS)
    procedure.add_file_argument("style-file", _("or file"), _("A picture file to take the style from, in place of a "
                                "layer"), picked, True, None, FLAGS)
    procedure.add_drawable_argument("second-style", _("Layer"), _("The layer of a second style"), True, FLAGS)
    procedure.add_file_argument("second-style-file", _("or file"), _("A picture file of a second style"), picked,
                                True, None, FLAGS)
    procedure.add_double_argument("blend", _("Blend (%)"), _("The share of the second style"), 0.0, 100.0, 50.0,
                                  FLAGS)
    for parameter in style_filter.parameters:
        parameter.add_to(procedure)
    procedure.add_choice_argument("output", _("Output"), _("Where the picture goes"), outputs(), REPLACE, FLAGS)
    procedure.add_double_argument("opacity", _("Opacity (%)"), _("How much of the picture covers what was there"),
                                  0.0, 100.0, 100.0, FLAGS)


class Session:
    """One run of a filter on a layer."""

    def __init__(self, procedure, manifest, style_filter, run_mode, layer, config):
        canvas.check(layer)
        self._procedure, self._filter, self._layer, self._config = procedure, style_filter, layer, config
        self._run_mode, self._has_windows = run_mode, run_mode != Gimp.RunMode.NONINTERACTIVE
        self._plugin = finding.load(FOLDER, manifest.library)
        self._outcome = None

    def run(self):
        """Whether it came to a picture; False where the user changed their mind."""
        if self._has_windows:
            gi.require_version("GimpUi", "3.0")
            from gi.repository import GimpUi
            GimpUi.init("pentimento")
            # Last values come without a style when its image is not open any more.
            styles.suggest(self._config, self._layer)
        if self._run_mode == Gimp.RunMode.INTERACTIVE and not self._ask():
            return False
        status, picture, warnings, failure = self._render()
        for warning in warnings:
            Gimp.message(warning)
        if failure:
            raise failure
        if status == library.CANCELLED:
            return False
        self._deliver(picture)
        return True

    def _ask(self):
        from dialog import StyleDialog
        return StyleDialog(self._procedure, self._config, self._plugin, self._filter, self._layer).ask()

    def _render(self):
        """Renders on a thread while this one runs the main loop."""
        canvas.check_there(self._layer)
        chosen = [(read(canvas.read), weight) for read, weight in styles.of(self._config, self._layer)]
        settings = self._filter.settings(self._config, preset_is_written_out=self._has_windows)
        loop = GLib.MainLoop()

        def end(*outcome):
            self._outcome = outcome
            loop.quit()

        rendering = Rendering(self._plugin, self._filter.id, settings, canvas.read(self._layer), chosen,
                              lambda report: show(report), end)
        if self._has_windows:
            from progress import ProgressWindow
            window = ProgressWindow(f"{self._filter.label}: {self._layer.get_name()}", rendering.end)
            show = window.report
        else:
            Gimp.progress_init(self._filter.label)
            window, show = None, lambda report: Gimp.progress_update(report.fraction)
        rendering.start()
        loop.run()
        if window:
            window.destroy()
        return self._outcome

    def _deliver(self, picture):
        # GIMP was in use all the while.
        canvas.check(self._layer)
        resized = canvas.size(self._layer) != (picture.width, picture.height)
        if resized:
            Gimp.message(_("The layer was resized while it was being painted. The picture is in a layer of its own."))
        opacity = self._config.get_property("opacity")
        with canvas.undo_step(self._layer.get_image()):
            if resized or self._config.get_property("output") == NEW_LAYER:
                canvas.add_layer(self._layer, picture, opacity, self._name())
            else:
                canvas.replace(self._layer, picture, opacity)
        Gimp.displays_flush()

    def _name(self):
        """After the filter and the style."""
        return f"{self._filter.label}: {styles.name(self._config)}"


class Pentimento(Gimp.PlugIn):
    """What GIMP asks: which procedures there are, and what they look like."""

    def do_query_procedures(self):
        return [procedure_name(style_filter) for style_filter in Manifest(FOLDER).filters]

    def do_set_i18n(self, _name):
        # The texts come translated by catalogues of our own.
        return False

    def do_create_procedure(self, name):
        manifest = Manifest(FOLDER)
        style_filter = next(entry for entry in manifest.filters if procedure_name(entry) == name)
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, (manifest, style_filter))
        # Indexed images too: they get a sentence that says what to do.
        procedure.set_image_types("*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
        procedure.set_menu_label(f"_{style_filter.label}…")
        procedure.add_menu_path(f"<Image>/{style_filter.menu}")
        procedure.set_documentation(style_filter.help, style_filter.help, name)
        procedure.set_attribution(manifest.name, manifest.name, "2026")
        arguments_of(procedure, style_filter)
        return procedure


def procedure_name(style_filter):
    return f"plug-in-pentimento-{style_filter.id}"


def run(procedure, run_mode, image, drawables, config, data):
    manifest, style_filter = data
    try:
        if len(drawables) != 1:
            raise Failure(_("Choose one layer to paint on; {n} are chosen.").format(n=len(drawables)))
        Gegl.init(None)
        session = Session(procedure, manifest, style_filter, run_mode, drawables[0], config)
        status = Gimp.PDBStatusType.SUCCESS if session.run() else Gimp.PDBStatusType.CANCEL
        return procedure.new_return_values(status, None)
    except Failure as failure:
        error = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), str(failure), 0)
        return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, error)


Gimp.main(Pentimento.__gtype__, sys.argv)
