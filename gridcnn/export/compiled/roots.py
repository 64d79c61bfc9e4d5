"""Square roots for processors that have no instruction for them, in LLVM's words.

LLVM would call `sqrtf` of a library. Here Newton's method finds one over the root, from a first
guess by the bits of the number: its exponent halved, with the sign turned. Four rounds leave an
error of a few units in the last place.
"""

from __future__ import annotations

import re

from gridcnn.export.compiled.translator import TRACKED

_CALL = re.compile(r"call (?:float|<\d+ x float>) @llvm\.sqrt\.(?:v(\d+))?f32\(")
_DECLARED = re.compile(r"^declare .*@llvm\.sqrt\..*\n", re.MULTILINE)
_GUESS = 0x5F3759DF
_ROUNDS = 4


def with_roots(text: str) -> str:
    """Return LLVM's text with square roots of its own."""
    sizes = {int(lanes or 1) for lanes in _CALL.findall(text)}
    if not sizes:
        return text
    text = _CALL.sub(lambda call: f"call {_kind(call[1])} @square_root{call[1] or ''}(", text)
    own = [_one(), *(_many(lanes) for lanes in sorted(sizes - {1}))]
    return _DECLARED.sub("", text) + "".join(own)


def _kind(lanes: str | None) -> str:
    return f"<{lanes} x float>" if lanes else "float"


def _one() -> str:
    lines = [
        f"define internal float @square_root(float %x) noinline nounwind {TRACKED} {{",
        "%bits = bitcast float %x to i32",
        "%exponent = lshr i32 %bits, 1",
        f"%guess = sub i32 {_GUESS}, %exponent",
        "%y0 = bitcast i32 %guess to float",
        "%half = fmul float %x, 0.5",
    ]
    for number in range(_ROUNDS):
        lines += [
            f"%a{number} = fmul float %half, %y{number}",
            f"%b{number} = fmul float %a{number}, %y{number}",
            f"%c{number} = fsub float 1.5, %b{number}",
            f"%y{number + 1} = fmul float %y{number}, %c{number}",
        ]
    return "\n".join([*lines, f"%root = fmul float %x, %y{_ROUNDS}", "ret float %root", "}", ""])


def _many(lanes: int) -> str:
    kind = f"<{lanes} x float>"
    head = f"define internal {kind} @square_root{lanes}({kind} %x) noinline nounwind {TRACKED} {{"
    lines, last = [head], "poison"
    for lane in range(lanes):
        lines += [
            f"%x{lane} = extractelement {kind} %x, i32 {lane}",
            f"%r{lane} = call float @square_root(float %x{lane})",
            f"%v{lane} = insertelement {kind} {last}, float %r{lane}, i32 {lane}",
        ]
        last = f"%v{lane}"
    return "\n".join([*lines, f"ret {kind} {last}", "}", ""])
