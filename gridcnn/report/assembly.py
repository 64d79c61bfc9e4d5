"""Puts a page together: a template, the one style sheet, the one script, and the page's data.

A page is one file that loads nothing from elsewhere and works from a disk. Its Content-Security-
Policy lets run only the script and the styles that stand in it, by their digests: what a class, a
file or a message is called can never become code. For the same reason no template may have style
attributes or handlers; the script sets what depends on data.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.version import VERSION

if TYPE_CHECKING:
    from jinja2 import Environment

CORE = ("core.js", "grid_view.js")
"""Scripts that every page with a script has, in this order; a page adds those of its parts."""


def assemble(
    template: str,
    *,
    title: str,
    data: Any = None,
    scripts: Iterable[str] | None = None,
    asks: bool = False,
    **values: Any,
) -> str:
    """Return a page as HTML.

    Args:
        template: the name of a file in `gridcnn/report/templates`, which extends `base.html`.
        title: of the page, as plain text.
        data: what the page's script reads by `gridcnn.data`: anything that `json` can write, and
            arrays, see `pack`.
        scripts: files in `gridcnn/report/script` beside `CORE`; None: the page has no script.
        asks: whether the page's script may ask the server that the page came from, and show other
            pages of it inside.
        values: what the template is filled with. Texts in them are escaped.
    """
    style = _file("style", "style.css")
    script = None if scripts is None else "\n".join(_file("script", n) for n in (*CORE, *scripts))
    return (
        _environment()
        .get_template(template)
        .render(
            title=title,
            version=VERSION,
            style=_markup(style),
            script=None if script is None else _markup(script),
            policy=_policy(style, script, asks=asks),
            data=None if data is None else _markup(json_text(data)),
            **values,
        )
    )


def json_text(data: Any) -> str:
    """Return data as JSON that may stand in an HTML script element.

    There `</script` would end the element, and `<!--` would hide what follows, wherever they stand;
    so no `<` is written as such. NaN and infinities become null, as JSON has none.
    """
    text = json.dumps(_plain(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def pack(array: NDArray[Any]) -> dict[str, Any]:
    """Return an array as the page's script unpacks it: its shape, and float32 cells in base64."""
    cells = np.ascontiguousarray(array, "<f4")
    return {
        "shape": list(cells.shape),
        "float32": base64.b64encode(cells.tobytes()).decode("ascii"),
    }


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(name): _plain(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    if isinstance(data, np.ndarray):
        return pack(data)
    if isinstance(data, np.generic):
        return _plain(data.item())
    if isinstance(data, float) and not np.isfinite(data):
        return None
    return data


def _policy(style: str, script: str | None, *, asks: bool) -> str:
    """Return the page's Content-Security-Policy.

    Pictures and sounds that a user chooses reach the page as blob: addresses, those that it was
    made with as data: ones; an installable page has its manifest as data as well.
    """
    server = "connect-src 'self'; frame-src 'self'; " if asks else ""
    run = "'none'" if script is None else f"'{_digest(script)}'"
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src {run}; "
        f"{server}img-src data: blob:; media-src data: blob:; manifest-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")


@cache
def _file(folder: str, name: str) -> str:
    file = resources.files("gridcnn.report").joinpath(folder, name)
    # A browser's digest of an element is that of its text with line feeds alone.
    return file.read_text("utf-8").replace("\r\n", "\n")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("gridcnn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _markup(text: str) -> Any:
    """Return text of our own that is not escaped."""
    from markupsafe import Markup

    return Markup(text)
