"""The format `c`: an object file and a C header, for programs without any library."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator

from gridcnn.contracts.adapter import Things
from gridcnn.errors import quoted
from gridcnn.export.compiled.compilation import Compilation, Compiled
from gridcnn.export.compiled.header import Meaning, header
from gridcnn.export.compiled.targets import Target, find_target, this_machine
from gridcnn.export.format import Exported, Format
from gridcnn.model import Model
from gridcnn.network import Network

_KEYWORDS = frozenset(
    (
        *("auto", "break", "case", "char", "class", "const", "continue", "default", "do"),
        *("double", "else", "enum", "extern", "float", "for", "goto", "if", "inline", "int"),
        *("long", "namespace", "new", "register", "restrict", "return", "short", "signed"),
        *("sizeof", "static", "struct", "switch", "template", "this", "typedef", "union"),
        *("unsigned", "void", "volatile", "while"),
    )
)


def _is_a_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,40}", text) or text in _KEYWORDS:
        raise ValueError(
            "must be a name in C: a letter, then up to 40 letters, digits and '_', and no keyword; "
            f"got {quoted(text)}"
        )
    return text


Name = Annotated[str, AfterValidator(_is_a_name)]
"""What names in C begin with."""


class C(Format):
    """Object code and a header in C, for microcontrollers, small computers and any program."""

    title: ClassVar[str] = "c"
    endings: ClassVar[tuple[str, ...]] = (".h", ".o")

    target: str | None = None
    """What the code runs on, by LLVM's name for architecture and system, as `aarch64-linux-gnu` or
    `thumbv7em-none-eabihf`; null: a machine like this one."""
    cpu: str | None = None
    """LLVM's name of the processor, as `cortex-a72`, and features, as `generic+simd128`;
    `native`: that of this machine; null: the usual one of the target, which any newer one can stand
    in for."""
    name: Name | None = None
    """What names in C begin with; null: made from the name of the spec."""
    weights: Literal["object", "file"] = "object"
    """Where the weights are: in the object file, or in a file that the program loads."""
    optimize: Literal["auto", "size", "speed"] = "auto"
    """What matters more. `size`: no convolution is made by Winograd's method, whose weights take
    up to four times the memory; `auto`: `size` on targets without a system, else `speed`."""

    def find_target(self) -> Target:
        """Return the target; raise `UserError` if there is none such."""
        return find_target(self.target or this_machine(), self.cpu)

    def paths(self, path: Path) -> dict[str, Path]:
        """Return the path of each file: header, object file, and weights if they are apart."""
        endings = [".h", self.find_target().ending, *([".weights"] if self._apart else [])]
        return {ending: path.with_suffix(ending) for ending in endings}

    @property
    def _apart(self) -> bool:
        return self.weights == "file"

    def compilation(self, model: Model, target: Target | None = None) -> Compilation:
        """Return a model's network on its way to object code."""
        compact = {"auto": None, "size": True, "speed": False}[self.optimize]
        return Compilation(
            model.network,
            model.parameters,
            target or self.find_target(),
            name=self.name or name_in_c(model.spec.name),
            inside=not self._apart,
            compact=compact,
        )

    def export(self, model: Model, path: Path) -> Exported:
        """Return the files; raise `UserError` that names the stages that cannot be compiled."""
        compiled = self.compilation(model).compile()
        file = path.with_suffix(".weights").name if self._apart else ""
        text = header(compiled, meaning_of(model), file)
        contents = {".h": text.encode(), compiled.target.ending: compiled.content}
        if compiled.weights is not None:
            contents[".weights"] = compiled.weights
        return Exported(contents, facts_of(compiled))

    def refuse_check(self) -> None:
        """Raise `UserError` if there is no such target; the kernels of all others run here."""
        self.find_target()

    def largest_difference(self, model: Model, made: Exported, things: Things) -> float:  # noqa: ARG002
        """Return by how much votes differ at most, of the same kernels in code for this machine.

        They work with vectors as wide as the target's, and on the same weights.
        """
        from gridcnn.export.compiled.trying import Tried

        if not len(things):
            return 0.0
        tried = Tried(self.compilation(model, self.find_target().here()))
        grids = model.adapter.grids(things)
        expected = model.votes_of_many(things)
        votes = np.stack([tried(grids.values[number : number + 1]) for number in range(len(grids))])
        return float(np.abs(votes - expected).max(initial=0))


def compile_untrained(network: Network, target: str | None, cpu: str | None) -> Compiled:
    """Return a network compiled with any weights, for the sizes that it will take.

    Raises:
        UserError: there is no such target, or a stage cannot be compiled.
    """
    found = C(target=target, cpu=cpu).find_target()
    return Compilation(network, network.starting_parameters(), found).compile()


def name_in_c(text: str) -> str:
    """Return a name in C like a text."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")[:40]
    if not name[:1].isalpha() or name in _KEYWORDS:
        name = f"net_{name}".rstrip("_")
    return name


def meaning_of(model: Model) -> Meaning:
    """Return what goes into a model's network, and what its votes are for."""
    names = [str(name) for name in model.classes]
    return Meaning(names, model.several, model.thresholds, model.adapter)


def facts_of(compiled: Compiled) -> dict[str, Any]:
    """Return what users need to know of a compiled network, sizes in bytes."""
    kind = "int32_t" if compiled.indices else "float"
    arguments = [f"const {kind} *grid", "float *votes", "void *work"]
    if compiled.weights is not None:
        arguments.append("const void *weights")
    facts: dict[str, Any] = {
        "target": compiled.target.name,
        "function": f"int32_t {compiled.name}_run({', '.join(arguments)})",
        **sizes_of(compiled),
    }
    if compiled.needs:
        facts["calls"] = list(compiled.needs)
    return facts


def sizes_of(compiled: Compiled) -> dict[str, int]:
    """Return what a compiled network takes, in bytes."""
    return {
        "code_bytes": compiled.code_bytes,
        "weights_bytes": compiled.weights_bytes,
        "work_bytes": compiled.work_bytes,
        "stack_bytes": compiled.stack_bytes,
    }
