#!/usr/bin/env python3
"""A host of a page: renders PPM pictures with a Pentimento plugin.

It needs nothing but Python's standard library (3.11 or newer): the plugin is loaded with ctypes, and what --help says
about the settings comes from manifest.toml, without loading it. ../../docs/hosts.md tells the story behind it.
Ctrl-C once stops early and keeps the best picture so far; twice cancels. Exit status: 0 done, 1 failed, 2 used wrongly,
130 cancelled.
"""

import argparse
import ctypes
import math
import re
import signal
import sys
import tomllib
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from pathlib import Path

ABI = 1
CANCELLED = 2
FORMAT_U8, LAYOUT_RGB, TRANSFER_SRGB = 1, 3, 1
CONTINUE, STOP, CANCEL = 0, 1, 2
LOG_WARNING = 3
MANIFEST = Path(__file__).resolve().parents[2] / "manifest.toml"


class Table(ctypes.Structure):
    """A structure of pentimento.h whose first field is its own size."""

    def __init__(self, **fields):
        super().__init__(struct_size=ctypes.sizeof(type(self)), **fields)


class Error(Table):
    _fields_ = [("struct_size", c_uint32), ("code", c_int32), ("text", c_char * 1024)]


class Image(Table):
    _fields_ = [("struct_size", c_uint32), ("width", c_uint32), ("height", c_uint32), ("format", c_uint32),
                ("layout", c_uint32), ("transfer", c_uint32), ("row_stride", c_int64), ("pixels", c_void_p)]


class Style(Table):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("image", POINTER(Image)), ("weight", c_double)]


class Progress(Table):
    _fields_ = [("struct_size", c_uint32), ("level", c_uint32), ("level_count", c_uint32), ("step", c_uint32),
                ("step_count", c_uint32), ("reserved", c_uint32), ("fraction", c_double), ("loss", c_double),
                ("seconds_left", c_double), ("stage", c_char_p), ("preview", POINTER(Image))]


ProgressFunction = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(Progress))
LogFunction = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p)


class Host(Table):
    _fields_ = [("struct_size", c_uint32), ("abi", c_uint32), ("context", c_void_p), ("progress", ProgressFunction),
                ("log", LogFunction), ("extension", c_void_p)]


class RenderRequest(Table):
    _fields_ = [("struct_size", c_uint32), ("style_count", c_uint32), ("content", POINTER(Image)),
                ("styles", POINTER(Style)), ("output", POINTER(Image)), ("host", POINTER(Host))]


def function(*arguments):
    """The type of a function of the plugin that returns a status and explains a failure in its last argument."""
    return ctypes.CFUNCTYPE(c_int32, *arguments, POINTER(Error))


class Plugin(Table):
    _fields_ = [("struct_size", c_uint32), ("abi", c_uint32), ("id", c_char_p), ("name", c_char_p),
                ("version", c_char_p), ("filter_count", ctypes.CFUNCTYPE(c_uint32)), ("describe_filter", c_void_p),
                ("describe_parameter", c_void_p), ("job_create", function(c_char_p, POINTER(c_void_p))),
                ("job_destroy", ctypes.CFUNCTYPE(None, c_void_p)),
                ("job_set_number", function(c_void_p, c_char_p, c_double)),
                ("job_set_text", function(c_void_p, c_char_p, c_char_p)),
                ("job_state", function(c_void_p, c_char_p, c_size_t, POINTER(c_size_t))),
                ("job_set_state", function(c_void_p, c_char_p)),
                ("job_render", function(c_void_p, POINTER(RenderRequest))),
                ("job_cancel", ctypes.CFUNCTYPE(c_int32, c_void_p, c_int32)),
                ("extension", ctypes.CFUNCTYPE(c_void_p, c_char_p))]


class Failure(Exception):
    """What the user is told."""


def load(path):
    try:
        library = ctypes.CDLL(str(Path(path).resolve()))
    except OSError as error:
        raise Failure(f"cannot load the library: {error}") from None
    try:
        entry = library.pentimento_entry
    except AttributeError:
        raise Failure(f"{path} is not a Pentimento plugin: it has no symbol pentimento_entry") from None
    entry.argtypes, entry.restype = [c_uint32], POINTER(Plugin)
    table = entry(ABI)
    if not table or table.contents.abi != ABI or table.contents.struct_size < ctypes.sizeof(Plugin):
        raise Failure(f"{path} does not speak ABI {ABI}")
    return table.contents


def call(function, *arguments):
    """Calls a function of the plugin; a negative status becomes a Failure with the plugin's own words."""
    error = Error()
    status = function(*arguments, byref(error))
    if status < 0:
        raise Failure(error.text.decode(errors="replace"))
    return status


def read_ppm(path):
    """The width, height and pixels of a binary PPM picture."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}") from None
    space = rb"\s(?:\s|#[^\n]*\n)*"
    header = re.match(rb"P6" + space + rb"(\d{1,9})" + space + rb"(\d{1,9})" + space + rb"255\s", data)
    if not header:
        raise Failure(f"{path} is not a binary PPM picture (P6) whose largest sample is 255")
    width, height = int(header[1]), int(header[2])
    pixels = data[header.end():header.end() + 3 * width * height]
    if not 1 <= width <= 65535 or not 1 <= height <= 65535 or len(pixels) < 3 * width * height:
        raise Failure(f"{path} does not hold the {width} x {height} pixels that its header promises")
    return width, height, pixels


def view(width, height, pixels):
    """An Image that borrows a buffer; whoever calls keeps the buffer alive."""
    return Image(width=width, height=height, format=FORMAT_U8, layout=LAYOUT_RGB, transfer=TRANSFER_SRGB,
                 row_stride=3 * width, pixels=ctypes.addressof(pixels))


def render(plugin, filter_id, content, style, settings):
    """Renders pictures as `read_ppm` gives them; returns the pixels of the result, or None when it was cancelled."""
    width, height, pixels = content
    content_pixels, style_pixels = (ctypes.create_string_buffer(data, len(data)) for data in (pixels, style[2]))
    output_pixels = ctypes.create_string_buffer(len(pixels))
    content_image, output_image = view(width, height, content_pixels), view(width, height, output_pixels)
    style_image = view(style[0], style[1], style_pixels)
    interrupts = []
    previous = signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))

    @ProgressFunction
    def on_progress(_context, progress):
        progress = progress.contents
        left = "" if math.isnan(progress.seconds_left) else f", {progress.seconds_left:.0f} s left"
        print(f"\r{progress.fraction:4.0%}  {progress.stage.decode(errors='replace')}, level {progress.level + 1} of "
              f"{progress.level_count}{left}\033[K", end="", file=sys.stderr, flush=True)
        return (CONTINUE, STOP, CANCEL)[min(len(interrupts), 2)]

    @LogFunction
    def on_log(_context, level, message):
        if level >= LOG_WARNING:
            print(f"\rwarning: {message.decode(errors='replace')}\033[K", file=sys.stderr)

    host = Host(abi=ABI, progress=on_progress, log=on_log)
    styles = (Style * 1)(Style(image=ctypes.pointer(style_image), weight=1.0))
    request = RenderRequest(style_count=1, content=ctypes.pointer(content_image), styles=styles,
                            output=ctypes.pointer(output_image), host=ctypes.pointer(host))
    job = c_void_p()
    call(plugin.job_create, filter_id.encode(), byref(job))
    try:
        for name, value in settings:
            call(plugin.job_set_text, job, name.encode(), value.encode())
        status = call(plugin.job_render, job, byref(request))
    finally:
        plugin.job_destroy(job)
        signal.signal(signal.SIGINT, previous)
        print(file=sys.stderr)
    return None if status == CANCELLED else output_pixels.raw


def arguments(manifest_filter):
    settings = "\n".join(f"  {parameter['id']} ({parameter['default']!r}): {parameter['help']}"
                         for parameter in manifest_filter["parameter"])
    parser = argparse.ArgumentParser(description=manifest_filter["help"], epilog=f"settings (default):\n{settings}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", help="the plugin, such as target/release/libpentimento_plugin.so")
    parser.add_argument("content", help="the picture to repaint, a binary PPM file")
    parser.add_argument("style", help="the picture whose manner it takes on, a binary PPM file")
    parser.add_argument("output", help="where to write the result, a binary PPM file")
    parser.add_argument("setting", nargs="*", metavar="id=value", help="see below")
    return parser.parse_args()


def main():
    manifest_filter = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["filter"][0]
    given = arguments(manifest_filter)
    try:
        settings = [setting.partition("=") for setting in given.setting]
        for name, equals, _ in settings:
            if not equals:
                raise Failure(f'"{name}" is not a setting of the form id=value')
        content, style = read_ppm(given.content), read_ppm(given.style)
        pixels = render(load(given.library), manifest_filter["id"], content, style,
                        [(name, value) for name, _, value in settings])
        if pixels is None:
            return 130
        Path(given.output).write_bytes(b"P6\n%d %d\n255\n" % content[:2] + pixels)
    except (Failure, OSError) as error:
        print(f"host.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
