"""The C header of a compiled network, and a program that uses it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from gridcnn.contracts.adapter import Adapter, OneHotAdapter
from gridcnn.errors import listed
from gridcnn.export.compiled.compilation import ALIGNMENT, Compiled
from gridcnn.export.compiled.emit import FOREIGN, ODD, OVERFLOW
from gridcnn.export.compiled.entering import entering
from gridcnn.grid import GridShape
from gridcnn.version import VERSION

_WIDTH = 92


@dataclass(frozen=True)
class Meaning:
    """What goes into a network, and what its votes are for.

    Attributes:
        classes: their names, in the order of the votes.
        several: whether an item may have several of them.
        thresholds: the vote from which on each of several labels is answered.
        adapter: what makes grids, fitted; None if that is not known.
    """

    classes: Sequence[str]
    several: bool = False
    thresholds: Sequence[float] | None = None
    adapter: Adapter | None = None


def header(compiled: Compiled, meaning: Meaning, weights_file: str = "") -> str:
    """Return the text of the header.

    Args:
        compiled: the network.
        meaning: what goes in, and what the votes are for.
        weights_file: the name of the file of weights, if they are not in the object file.
    """
    name, upper = compiled.name, compiled.name.upper()
    shape = compiled.network.shape
    entry = entering(meaning.adapter, name, indices=compiled.indices) if meaning.adapter else None
    parts = [
        _comment([*_about(compiled, weights_file), *(entry.comments if entry else ())]),
        f"#ifndef {upper}_H\n#define {upper}_H\n\n#include <stdint.h>\n",
        '#ifdef __cplusplus\nextern "C" {\n#endif\n',
        _sizes(compiled, shape),
        _classes(upper, meaning),
        *_rows(upper, meaning),
        _prototype(compiled, weights_file),
    ]
    if entry and entry.code:
        parts.append(entry.code)
    parts += [_best(name, meaning), "#ifdef __cplusplus\n}\n#endif\n", f"#endif /* {upper}_H */\n"]
    return "\n".join(parts)


def _comment(sentences: Sequence[str]) -> str:
    """Return sentences as a comment; nothing in them can end it."""
    lines = []
    for sentence in sentences:
        text = "".join(sign if " " <= sign < "\x7f" else "?" for sign in sentence)
        lines += textwrap.wrap(text.replace("*/", "* /").replace("/*", "/ *"), _WIDTH) or [""]
    while lines and not lines[-1]:
        lines.pop()
    return "/* " + "\n".join(f"   {line}".rstrip() for line in lines)[3:] + " */\n"


def _about(compiled: Compiled, weights_file: str) -> list[str]:
    target = compiled.target
    where = f"in {weights_file}" if weights_file else "in the object file"
    needs = "It needs no library: it calls nothing that is not in the object file."
    if target.ending == ".obj":
        needs += " (Linkers ask for Microsoft's own `_fltused`; without that library define it.)"
    if compiled.needs:
        needs = (
            f"{target.processor.name} lacks arithmetic that the network needs, so the object file "
            f"calls the compiler's own library, whose stack is not counted here: "
            f"{listed(list(compiled.needs), limit=30)}."
        )
    return [
        f"A network of gridcnn {VERSION}, compiled for {target.name}. Written by gridcnn; changes "
        "here are lost.",
        "",
        f"Code: {compiled.code_bytes:,} bytes. Weights: {compiled.weights_bytes:,} bytes, {where}, "
        f"read only. Work area: {compiled.work_bytes:,} bytes, given by the caller. Stack: at most "
        f"{compiled.stack_bytes:,} bytes. {needs} It allocates nothing and keeps nothing between "
        "calls, so that several threads may call it, each with a work area of its own.",
        "",
    ]


def _sizes(compiled: Compiled, shape: GridShape) -> str:
    upper = compiled.name.upper()
    axes = [f"{upper}_CHANNELS channels"]
    for axis, size in ((shape.row_axis, "ROWS"), (shape.column_axis, "COLUMNS")):
        unit = f", in {axis.unit}" if axis.unit else ""
        axes.append(f"{upper}_{size} {size.lower()}")
        axes[-1] += f" ({axis.name}{unit})"
    about = f"A grid has {listed(axes)}; float32, channel after channel, each row after row."
    if compiled.indices:
        about += (
            " It is given as the row of the 1 in each column, int32, or -1 for a column without."
        )
    numbers = [
        ("CHANNELS", shape.channels),
        ("ROWS", shape.rows),
        ("COLUMNS", shape.columns),
        ("CELLS", shape.cells),
        ("CLASSES", compiled.network.output.cells),
        ("WORK_BYTES", compiled.work_bytes),
        ("WORK_ALIGNMENT", ALIGNMENT),
        ("STACK_BYTES", compiled.stack_bytes),
        ("CODE_BYTES", compiled.code_bytes),
        ("WEIGHTS_BYTES", compiled.weights_bytes),
    ]
    if compiled.weights is not None:
        numbers.append(("WEIGHTS_FILE_BYTES", len(compiled.weights)))
    lines = [f"#define {upper}_{name} {number}" for name, number in numbers]
    return _comment([about]) + "\n".join(lines) + "\n"


def _classes(upper: str, meaning: Meaning) -> str:
    names = ", ".join(_literal(name) for name in meaning.classes)
    text = _comment(["The classes, in the order of the votes; in UTF-8."])
    text += f"#define {upper}_CLASS_NAMES {{{names}}}\n"
    if meaning.several:
        given = meaning.thresholds or [0.5] * len(meaning.classes)
        text += _comment(["An item has a label if its vote is at least this."])
        text += f"#define {upper}_THRESHOLDS {{{', '.join(f'{each!r}f' for each in given)}}}\n"
    return text


def _rows(upper: str, meaning: Meaning) -> list[str]:
    """Return the symbols that rows of one-hot grids stand for: tokens of molecules, words."""
    if not isinstance(meaning.adapter, OneHotAdapter):
        return []
    labels = meaning.adapter.shape().row_axis.labels
    if labels is None:
        return []
    names = ", ".join(_literal(label) for label in labels)
    about = _comment(["What each row of a grid stands for, in UTF-8."])
    return [f"{about}#define {upper}_ROW_NAMES {{{names}}}\n"]


def _literal(text: str) -> str:
    """Return a text as C writes it; bytes that are not plain as three octal digits."""
    signs = []
    for byte in text.encode("utf-8", "surrogatepass"):
        sign = chr(byte)
        plain = " " <= sign < "\x7f" and sign not in '"\\?'
        signs.append(sign if plain else f"\\{byte:03o}")
    return f'"{"".join(signs)}"'


def _prototype(compiled: Compiled, weights_file: str) -> str:
    name, upper = compiled.name, compiled.name.upper()
    form = "const int32_t" if compiled.indices else "const float"
    size = "COLUMNS" if compiled.indices else "CELLS"
    reason = (
        f"a row is not in -1..{upper}_ROWS-1" if compiled.indices else "a cell is NaN or infinite"
    )
    sentences = [
        f"Count the votes for one grid. `grid` has {upper}_{size} numbers. `votes` gets "
        f"{upper}_CLASSES numbers of 0..1. `work` is memory of {upper}_WORK_BYTES bytes that may "
        f"hold anything; it begins at a multiple of 4, and is read fastest at one of "
        f"{upper}_WORK_ALIGNMENT.",
        "",
        f"Returns 0 if the votes are there; {ODD} if {reason}; {OVERFLOW} if the votes are not "
        "finite "
        "numbers, since the cells are too far from those of the training.",
    ]
    arguments = [f"{form} *grid", "float *votes", "void *work"]
    if compiled.weights is not None:
        arguments.append("const void *weights")
        sentences += [
            f"{FOREIGN} if `weights` are not those of this object file. They are the content of "
            f"{weights_file or 'the file of weights'}, at a multiple of 4.",
        ]
    return _comment(sentences) + f"int32_t {name}_run({', '.join(arguments)});\n"


def _best(name: str, meaning: Meaning) -> str:
    """Return the function that answers with one class; nothing for several labels."""
    if meaning.several:
        return ""
    upper = name.upper()
    return f"""\
/* Return the number of the class with the most votes. */
static inline int {name}_best(const float *votes)
{{
    int best = 0;
    for (int number = 1; number < {upper}_CLASSES; number++)
        if (votes[number] > votes[best]) best = number;
    return best;
}}
"""
