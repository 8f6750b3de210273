#!/usr/bin/env python3
"""Prints all texts that people read in an editor, as a JSON list: what the catalogues beside this file must translate.

They are those of the manifest, and the arguments of `_` in the modules of the bridges.
"""

import ast
import json
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BRIDGES = ["gimp3"]


def of_manifest():
    """Labels, helps, groups and units, wherever they are."""
    def walk(entry):
        if isinstance(entry, list):
            for part in entry:
                yield from walk(part)
        elif isinstance(entry, dict):
            for key, value in entry.items():
                if key in ("label", "help", "group"):
                    yield value
                elif key != "values":
                    yield from walk(value)
    yield from walk(tomllib.loads((REPOSITORY / "manifest.toml").read_text(encoding="utf-8"))["filter"])


def of_module(path):
    """What is given to `_` as a text of its own."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
            if isinstance(node.args[0], ast.Constant):
                yield node.args[0].value


def main():
    texts = list(of_manifest())
    for bridge in BRIDGES:
        for path in sorted((REPOSITORY / "examples" / bridge).glob("*.py")):
            texts += of_module(path)
    print(json.dumps(list(dict.fromkeys(texts)), ensure_ascii=False, indent=0))


if __name__ == "__main__":
    main()
