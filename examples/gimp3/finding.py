"""Where the plugin's library is: in a folder that the user names, beside this file, or among the user's plugins."""

import os
import sys
from pathlib import Path

import library
from library import Failure
from translation import _

PATH_VARIABLE = "PENTIMENTO_PLUGIN_PATH"


def file_name(base):
    """The library's file name on this system."""
    prefix, suffix = {"win32": ("", ".dll"), "darwin": ("lib", ".dylib")}.get(sys.platform, ("lib", ".so"))
    return prefix + base + suffix


def user_folder():
    """Where the plugins of the current user are put, for all hosts."""
    home = Path.home()
    data = {"win32": os.environ.get("LOCALAPPDATA"), "darwin": home / "Library/Application Support"}
    default = os.environ.get("XDG_DATA_HOME") or home / ".local/share"
    return Path(data.get(sys.platform) or default) / "pentimento" / "plugins"


def places(own_folder, base):
    """The files that may be the library, best first."""
    name = file_name(base)
    for entry in filter(None, os.environ.get(PATH_VARIABLE, "").split(os.pathsep)):
        yield Path(entry) if Path(entry).is_file() else Path(entry) / name
    yield Path(own_folder) / name
    folder = user_folder()
    yield folder / name
    if folder.is_dir():
        yield from (inner / name for inner in sorted(folder.iterdir()) if inner.is_dir())


def load(own_folder, base):
    """The plugin's table, from the first place that has its library."""
    candidates = list(places(own_folder, base))
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise Failure(_("The plugin's library was not found. It was looked for here:\n{places}\n"
                        "Run “pentimento install gimp” again, or set {variable} to its folder.").format(
                            places="\n".join(f"    {path}" for path in candidates), variable=PATH_VARIABLE))
    return library.load(path)
