"""Code is made for this machine's processor, or for a lesser one, and runs there."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import llvmlite.binding as llvm

from gridcnn.engines.native import processor as module
from gridcnn.engines.native.processor import Host, Processor, processor
from gridcnn.errors import EngineError

V2, V3, V4 = (module._LEVELS[f"x86-64-v{number}"] for number in (2, 3, 4))
AVX512 = ("avx512f", "avx512vl", "avx512bw", "avx512dq")
HERE = module._host()

on_x86 = pytest.mark.skipif(HERE.architecture != "x86-64", reason="this is no x86-64")


def x86(name: str, present: Iterable[str], *absent: str) -> Host:
    features = {**dict.fromkeys(present, True), **dict.fromkeys(absent, False)}
    return Host(name, features, "x86_64-unknown-linux-gnu")


ZEN_4 = x86("znver4", V4, "avx10.1")
ZEN_2 = x86("znver2", V3, *AVX512)
SANDY_BRIDGE = x86("sandybridge", V2 | {"avx"}, "avx2", "fma", "fma4")
BULLDOZER = x86("bdver1", V2 | {"avx", "fma4"}, "avx2", "fma")
M1 = Host("apple-m1", {"neon": True, "sve": False}, "arm64-apple-darwin24.1.0")
GRAVITON = Host("neoverse-v1", {"neon": True, "sve": True}, "aarch64-unknown-linux-gnu")
SNAPDRAGON = Host("oryon-1", {}, "aarch64-pc-windows-msvc")
POWER = Host("pwr9", {"vsx": True}, "powerpc64le-unknown-linux-gnu")


def made_for(
    monkeypatch: pytest.MonkeyPatch, host: Host, wanted: str | None = None
) -> tuple[Processor, tuple[int, int, bool]]:
    """Return the processor that is chosen on a host, and its lanes, registers and fma."""
    monkeypatch.setattr(module, "_host", lambda: host)
    if wanted is None:
        monkeypatch.delenv("GRIDCNN_CPU", raising=False)
    else:
        monkeypatch.setenv("GRIDCNN_CPU", wanted)
    chosen = processor()
    return chosen, (chosen.lanes, chosen.registers, chosen.fma)


# This machine


def machine(chosen: Processor) -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_triple(chosen.triple).create_target_machine(
        cpu=chosen.name, features=chosen.features, opt=3, jit=True
    )


def multiply_add(chosen: Processor) -> llvm.ModuleRef:
    """Return code for `d = a * b + c` on one vector: in one rounding where there is fma."""
    kind = f"<{chosen.lanes} x float>"
    loads = "\n".join(f"%{name} = load {kind}, ptr %at.{name}, align 4" for name in "abc")
    intrinsic = f"llvm.fma.v{chosen.lanes}f32"
    if chosen.fma:
        sums = f"%d = call {kind} @{intrinsic}({kind} %a, {kind} %b, {kind} %c)"
    else:
        sums = f"%ab = fmul {kind} %a, %b\n%d = fadd {kind} %ab, %c"
    return llvm.parse_assembly(
        f"declare {kind} @{intrinsic}({kind}, {kind}, {kind})\n"
        "define void @multiply_add(ptr %at.a, ptr %at.b, ptr %at.c, ptr %at.d) {\n"
        f"{loads}\n{sums}\nstore {kind} %d, ptr %at.d, align 4\nret void\n}}\n"
    )


@pytest.mark.parametrize("level", ["", *HERE.levels()])
def test_code_for_each_level_runs_here(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """It computes the right numbers, rounded as often as `fma` says."""
    monkeypatch.setenv("GRIDCNN_CPU", level)
    chosen = processor()
    random = np.random.default_rng(0)
    a, b, c = (random.integers(-99, 99, chosen.lanes).astype(np.float32) for _ in range(3))
    # Here the product has a digit more than float32 holds; it is lost where it is rounded.
    a[0] = b[0] = 1 + 2**-12
    c[0] = -1
    d = np.zeros_like(a)

    with llvm.create_mcjit_compiler(multiply_add(chosen), machine(chosen)) as engine:
        engine.finalize_object()
        address = engine.get_function_address("multiply_add")
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(address)
        function(*(each.ctypes.data for each in (a, b, c, d)))

    assert np.array_equal(d[1:], (a * b + c)[1:])
    assert d[0] == (2**-11 + 2**-24 if chosen.fma else 2**-11)


@on_x86
@pytest.mark.parametrize("level", HERE.levels())
def test_code_for_each_level_uses_what_it_has(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """One instruction for one vector, in its widest registers, and none beyond the level."""
    monkeypatch.setenv("GRIDCNN_CPU", level)
    chosen = processor()

    text = machine(chosen).emit_assembly(multiply_add(chosen))

    assert ("zmm" in text) == (chosen.lanes == 16)
    assert ("ymm" in text) == (chosen.lanes == 8)
    assert ("fmadd" in text) == chosen.fma
    assert "call" not in text


@on_x86
def test_code_for_half_of_avx_512_has_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a part of AVX-512 is missing, LLVM uses nothing of it, whatever the name promises."""
    for name in ("knl", "skylake-avx512", "znver4"):
        half = x86(name, V3 | {"avx512f", "avx512cd", "gfni"}, "avx512vl", "avx512bw")
        chosen, _ = made_for(monkeypatch, half)
        wide = replace(chosen, lanes=16)

        assert "zmm" not in machine(chosen).emit_assembly(multiply_add(wide))
        assert "ymm" in machine(chosen).emit_assembly(multiply_add(wide))


def test_this_machine_is_known() -> None:
    """LLVM tells a name and a triple, and of x86-64 what it has."""
    assert HERE.name
    assert HERE.triple
    assert HERE.present or HERE.architecture != "x86-64"
    assert HERE.levels()[:2] == ["native", "generic"]


# Other machines


@pytest.mark.parametrize(
    ("host", "figures"),
    [
        (ZEN_4, (16, 32, True)),
        (ZEN_2, (8, 16, True)),
        (SANDY_BRIDGE, (8, 16, False)),
        (BULLDOZER, (8, 16, True)),
        (x86("nehalem", V2), (4, 16, False)),
        (x86("k8", {"sse2"}), (4, 16, False)),
        (M1, (4, 32, True)),
        (GRAVITON, (4, 32, True)),
        (SNAPDRAGON, (4, 32, True)),
        (POWER, (4, 16, False)),
    ],
)
def test_a_machine_is_used_in_full(
    monkeypatch: pytest.MonkeyPatch, host: Host, figures: tuple[int, int, bool]
) -> None:
    """Without a wish code is made for this very processor."""
    for wanted in (None, "", "native", " Native "):
        chosen, found = made_for(monkeypatch, host, wanted)

        assert found == figures
        assert (chosen.name, chosen.triple) == (host.name, host.triple)
        for name in host.present:
            assert f"+{name}" in chosen.features.split(",")


@pytest.mark.parametrize("lacking", AVX512)
def test_avx_512_counts_as_a_whole(monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    """With a part of it missing the machine is one with AVX2."""
    present = (V4 | {"amx-avx512", "avx10.1", "avx512vnni"}) - {lacking}
    chosen, figures = made_for(monkeypatch, x86("skylake-avx512", present, lacking))

    features = chosen.features.split(",")
    assert figures == (8, 16, True)
    assert "+avx2" in features
    assert not [name for name in features if "avx512" in name and name[0] != "-"]
    assert "-avx10.1" in features


def test_wide_vectors_are_wanted_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM would halve them on some processors."""
    for host, wanted, wide in (
        (ZEN_4, "native", True),
        (ZEN_4, "x86-64-v4", True),
        (ZEN_4, "x86-64-v3", False),
        (ZEN_2, "native", False),
    ):
        features = made_for(monkeypatch, host, wanted)[0].features.split(",")
        assert ("-prefer-256-bit" in features) == wide


@pytest.mark.parametrize(
    ("level", "figures"),
    [
        ("generic", (4, 16, False)),
        ("x86-64", (4, 16, False)),
        ("x86-64-v2", (4, 16, False)),
        ("x86-64-v3", (8, 16, True)),
        ("X86-64-V4", (16, 32, True)),
    ],
)
def test_a_level_is_taken_exactly(
    monkeypatch: pytest.MonkeyPatch, level: str, figures: tuple[int, int, bool]
) -> None:
    """Nothing of what this machine has beyond it is used."""
    chosen, found = made_for(monkeypatch, ZEN_4, level)

    assert found == figures
    assert chosen.name == level.lower()
    assert "+" not in chosen.features
    assert chosen.triple == ZEN_4.triple


def test_an_arm_can_be_generic(monkeypatch: pytest.MonkeyPatch) -> None:
    """All have the same vectors."""
    chosen, figures = made_for(monkeypatch, M1, "generic")

    assert (chosen.name, chosen.features) == ("generic", "")
    assert figures == (4, 32, True)


def test_machines_that_llvm_does_not_know_are_generic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name the features count; without features nothing is supposed."""
    present = made_for(monkeypatch, replace(ZEN_2, name="generic"))
    assert present == (replace(present[0], name="generic"), (8, 16, True))

    unknown, figures = made_for(monkeypatch, x86("znver4", ()))
    assert (unknown.name, unknown.features, figures) == ("generic", "", (4, 16, False))


def test_what_llvm_cannot_tell_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty name is generic; a list of features that it refuses is empty."""

    def no() -> dict[str, bool]:
        raise RuntimeError("LLVM has not implemented it")

    monkeypatch.setattr(llvm, "get_host_cpu_name", lambda: "")
    monkeypatch.setattr(llvm, "get_host_cpu_features", no)

    host = module._host.__wrapped__()

    assert (host.name, host.features, host.triple) == ("generic", {}, HERE.triple)


# Wishes that cannot be met


@pytest.mark.parametrize(
    ("host", "wanted", "message"),
    [
        (
            ZEN_2,
            "x86-64-v4",
            "GRIDCNN_CPU='x86-64-v4': this machine's processor, znver2, has no avx512bw, avx512cd, "
            "avx512dq, avx512f, avx512vl. Choose one of native, generic, x86-64, x86-64-v2, "
            "x86-64-v3; without GRIDCNN_CPU it is native",
        ),
        (
            ZEN_4,
            "x86_64_v3",
            "GRIDCNN_CPU='x86_64_v3': there is no such processor; did you mean 'x86-64-v3'? Choose "
            "one of native, generic, x86-64, x86-64-v2, x86-64-v3, x86-64-v4; without GRIDCNN_CPU "
            "it is native",
        ),
        (
            M1,
            "x86-64-v3",
            "GRIDCNN_CPU='x86-64-v3': that is a level of x86-64 processors, and this one is arm64. "
            "Choose one of native, generic; without GRIDCNN_CPU it is native",
        ),
        (
            POWER,
            "pwr10",
            "GRIDCNN_CPU='pwr10': there is no such processor. Choose one of native, generic; "
            "without GRIDCNN_CPU it is native",
        ),
        (
            GRAVITON,
            "a\x1b[31m\n" + "b" * 100,
            r"GRIDCNN_CPU='a\x1b[31m " + "b" * 47 + "...': there is no such processor. Choose one "
            "of native, generic; without GRIDCNN_CPU it is native",
        ),
    ],
)
def test_a_wish_that_cannot_be_met_is_answered(
    monkeypatch: pytest.MonkeyPatch, host: Host, wanted: str, message: str
) -> None:
    """One line: what was given, what is wrong with it, what is allowed here, what to do."""
    with pytest.raises(EngineError) as refused:
        made_for(monkeypatch, host, wanted)

    assert str(refused.value) == message


@on_x86
def test_levels_that_this_machine_lacks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made that this machine would stumble over."""
    lacking = set(module._LEVELS) - set(HERE.levels())
    for level in lacking:
        monkeypatch.setenv("GRIDCNN_CPU", level)
        with pytest.raises(EngineError, match="has no"):
            processor()
    assert lacking <= {"x86-64-v2", "x86-64-v3", "x86-64-v4"}


def test_the_wish_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is read anew each time; what LLVM tells is asked for once."""
    monkeypatch.setenv("GRIDCNN_CPU", "generic")
    assert processor().name == "generic"
    monkeypatch.delenv("GRIDCNN_CPU")
    assert processor().name == HERE.name
    assert module._host() is HERE
