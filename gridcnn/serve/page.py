"""The server's own page: draw, drop, record or type, and see the votes and an explanation.

It says nothing about the models: its script asks for them, with the token if there is one.
"""

from __future__ import annotations

from functools import cache

from gridcnn.report.assembly import assemble

_SCRIPTS = ("sounds.js", "texts.js", "adapters.js", "files.js", "inputs.js", "serve.js")


@cache
def page() -> str:
    """Return the page as HTML."""
    return assemble("serve.html", title="gridcnn", scripts=_SCRIPTS, asks=True)
