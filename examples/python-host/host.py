#!/usr/bin/env python3
"""A host of a page: renders PPM pictures with a Pentimento plugin.

It needs nothing but Python's standard library (3.11 or newer) and `library` beside it, which speaks to the plugin. What
--help says about the settings comes from manifest.toml, without loading the plugin. ../../docs/hosts.md tells the story
behind it.
Ctrl-C once stops early and keeps the best picture so far; twice cancels. Exit status: 0 done, 1 failed, 2 used wrongly,
130 cancelled.
"""

import argparse
import math
import re
import signal
import sys
import tomllib
from pathlib import Path

import library
from library import Failure, Job, Pixels

MANIFEST = Path(__file__).resolve().parents[2] / "manifest.toml"


def read_ppm(path):
    """The Pixels of a binary PPM picture."""
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
    return Pixels(width, height, library.FORMAT_U8, library.LAYOUT_RGB, pixels)


def render(plugin, filter_id, content, style, settings):
    """Renders a picture with a style, both Pixels; returns the result, or None when it was cancelled."""
    interrupts = []
    previous = signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))

    def on_progress(progress):
        left = "" if math.isnan(progress.seconds_left) else f", {progress.seconds_left:.0f} s left"
        print(f"\r{progress.fraction:4.0%}  {progress.stage.decode(errors='replace')}, level {progress.level + 1} of "
              f"{progress.level_count}{left}\033[K", end="", file=sys.stderr, flush=True)
        return (library.CONTINUE, library.STOP, library.CANCEL)[min(len(interrupts), 2)]

    def on_warning(message):
        print(f"\rwarning: {message}\033[K", file=sys.stderr)

    try:
        with Job(plugin, filter_id) as job:
            for name, value in settings:
                job.set(name, value)
            status, picture = job.render(content, [(style, 1.0)], on_progress, on_warning)
    finally:
        signal.signal(signal.SIGINT, previous)
        print(file=sys.stderr)
    return None if status == library.CANCELLED else picture


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
        picture = render(library.load(given.library), manifest_filter["id"], content, style,
                         [(name, value) for name, _, value in settings])
        if picture is None:
            return 130
        Path(given.output).write_bytes(b"P6\n%d %d\n255\n" % (picture.width, picture.height) + picture.data)
    except (Failure, OSError) as error:
        print(f"host.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
