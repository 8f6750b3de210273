"""Texts in the user's language: gettext's `_`, from the catalogues beside this file.

The texts of the manifest are translated by the same catalogues: what it says in English is their key.
"""

import gettext
from pathlib import Path

DOMAIN = "pentimento"

_catalogue = gettext.translation(DOMAIN, Path(__file__).resolve().parent / "locale", fallback=True)


def _(text):
    # The empty key is the catalogue's own head.
    return _catalogue.gettext(text) if text else text
