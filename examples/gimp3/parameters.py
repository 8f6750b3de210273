"""The parameters of manifest.toml as arguments of a GIMP procedure, and back as settings of a job."""

import tomllib
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GObject

from translation import _

FLAGS = GObject.ParamFlags.READWRITE
# GIMP's integer arguments are C ints.
LARGEST_INTEGER = 2**31 - 1


class Parameter:
    """One entry of the manifest. `name` is that of GIMP's argument, in which there are hyphens."""

    def __init__(self, entry, presets):
        self.id, self.label, self.help = entry["id"], _(entry["label"]), _(entry["help"])
        self.name = self.id.replace("_", "-")
        self.group, self.advanced = entry["group"], entry.get("advanced", False)
        self.kind, self.default, self.unit = entry["kind"], entry["default"], entry.get("unit", "")
        self.hard, self.soft, self.step = (entry.get(key) for key in ("hard", "soft", "step"))
        self.choices = presets if self.kind == "preset" else entry.get("choices", [])
        if self.kind == "integer":
            self.hard = [min(end, LARGEST_INTEGER) for end in self.hard]

    @property
    def nick(self):
        """What stands before the control."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def add_to(self, procedure):
        common = self.name, self.nick, self.help
        if self.kind == "float":
            procedure.add_double_argument(*common, *self.hard, self.default, FLAGS)
        elif self.kind == "integer":
            procedure.add_int_argument(*common, *self.hard, self.default, FLAGS)
        elif self.kind == "bool":
            procedure.add_boolean_argument(*common, self.default, FLAGS)
        elif self.kind == "text":
            procedure.add_string_argument(*common, self.default, FLAGS)
        else:
            procedure.add_choice_argument(*common, choice(self.choices), self.default, FLAGS)

    def value(self, config):
        value = config.get_property(self.name)
        # GIMP takes an empty text for none.
        return "" if value is None else value

    def text(self, value):
        """A value as the plugin reads it."""
        return str(value).lower() if self.kind == "bool" else str(value)


def choice(entries):
    """GIMP's choice of entries that have an id, a label and perhaps help."""
    made = Gimp.Choice.new()
    for number, entry in enumerate(entries):
        made.add(entry["id"], number, _(entry["label"]), _(entry.get("help", "")))
    return made


class Filter:
    """What the manifest says of a filter."""

    def __init__(self, entry):
        self.id, self.label, self.menu, self.help = entry["id"], _(entry["label"]), entry["menu"], _(entry["help"])
        self.presets = entry.get("preset", [])
        self.parameters = [Parameter(parameter, self.presets) for parameter in entry["parameter"]]
        self.preset = next((parameter for parameter in self.parameters if parameter.kind == "preset"), None)

    def settings(self, config, preset_is_written_out):
        """The pairs of id and text that differ from the defaults.

        A preset stands behind what is set, so a value that is left at its default yields to it: that is what a script
        expects that names a preset and nothing else. The dialog writes a preset out into its controls, where each
        value is then seen and changed, back to its default too; what stands behind them must be the defaults.
        """
        shown = [parameter for parameter in self.parameters
                 if parameter is not self.preset or not preset_is_written_out]
        values = [(parameter, parameter.value(config)) for parameter in shown]
        return [(parameter.id, parameter.text(value)) for parameter, value in values if value != parameter.default]

    def write_out_preset(self, config):
        """Sets each parameter of which some preset speaks to what the preset in `config` makes of it."""
        values = {entry["id"]: entry["values"] for entry in self.presets}
        mentioned = set().union(*values.values())
        chosen = values[self.preset.value(config)]
        for parameter in self.parameters:
            if parameter.id in mentioned:
                config.set_property(parameter.name, chosen.get(parameter.id, parameter.default))


class Manifest:
    """The file manifest.toml of a folder."""

    def __init__(self, folder):
        contents = tomllib.loads((Path(folder) / "manifest.toml").read_text(encoding="utf-8"))
        self.name, self.library, self.version = contents["name"], contents["library"], contents["version"]
        self.filters = [Filter(entry) for entry in contents["filter"]]
