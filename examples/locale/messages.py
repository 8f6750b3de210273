#!/usr/bin/env python3
"""Prints all texts that people read in an editor, as a JSON list: what the catalogues beside this file must translate.

They are those of the manifest, and the arguments of `_` in the bridges, in Python and in C.
"""

import ast
import json
import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BRIDGES = ["gimp2", "gimp3"]
# In C, texts that stand beside each other are one.
C_TEXT = r'"(?:[^"\\]|\\.)*"'
C_CALL = re.compile(rf"\b_\((\s*{C_TEXT}(?:\s*{C_TEXT})*)\s*\)")


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
    filters = tomllib.loads((REPOSITORY / "manifest.toml").read_text(encoding="utf-8"))["filter"]
    yield from walk(filters)
    # GIMP 2.10 looks up what stands in its menu.
    yield from (f"_{entry['label']}…" for entry in filters)


def of_module(path):
    """What is given to `_` as a text of its own."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
            if isinstance(node.args[0], ast.Constant):
                yield node.args[0].value


def of_c(path):
    """The same in C, whose escapes are Python's."""
    for call in C_CALL.finditer(path.read_text(encoding="utf-8")):
        yield "".join(ast.literal_eval(text) for text in re.findall(C_TEXT, call[1]))


def main():
    texts = list(of_manifest())
    for bridge in BRIDGES:
        folder = REPOSITORY / "examples" / bridge
        for pattern, texts_of in (("*.py", of_module), ("*.c", of_c)):
            for path in sorted(folder.glob(pattern)):
                texts += texts_of(path)
    print(json.dumps(list(dict.fromkeys(texts)), ensure_ascii=False, indent=0))


if __name__ == "__main__":
    main()
