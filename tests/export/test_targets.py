"""LLVM tells what a processor can do, and object files tell what they need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gridcnn.errors import EngineError, UserError
from gridcnn.export.compiled.compilation import Compilation, deepest
from gridcnn.export.compiled.format import name_in_c
from gridcnn.export.compiled.objects import read_object
from gridcnn.export.compiled.targets import COMMON, find_target
from gridcnn.export.compiled.translator import Job, normalize, translate
from tests.export.compiling import needs
from tests.export.test_compiled import small

FORMATS = ("thumbv6m-none-eabi", "x86_64-pc-windows-msvc", "arm64-apple-macos", "wasm32")
"""Targets whose object files are ELF of 32 bits, COFF, Mach-O and WebAssembly."""


@pytest.mark.parametrize(
    ("triple", "cpu", "expected"),
    [
        ("x86_64-linux-gnu", None, {"lanes": 4, "registers": 16, "fma": False}),
        ("x86_64-linux-gnu", "haswell", {"lanes": 8, "registers": 16, "fma": True}),
        ("x86_64-linux-gnu", "znver4", {"lanes": 16, "registers": 32, "fma": True}),
        ("aarch64-linux-gnu", None, {"lanes": 4, "registers": 32, "fma": True}),
        ("thumbv7em-none-eabihf", None, {"lanes": 4, "registers": 8, "fma": True}),
        ("thumbv7em-none-eabihf", "cortex-m7", {"lanes": 4, "registers": 8, "fma": True}),
        ("wasm32", None, {"lanes": 4, "registers": 16, "fma": False}),
        ("riscv32-unknown-elf", "generic-rv32+m+f", {"lanes": 4, "registers": 8, "fma": True}),
    ],
)
def test_kernels_know_the_vectors_of_a_processor(
    triple: str, cpu: str | None, expected: dict[str, Any]
) -> None:
    processor = find_target(triple, cpu).processor

    assert {name: getattr(processor, name) for name in expected} == expected


def test_a_processor_without_floats_is_known() -> None:
    assert not find_target("thumbv6m-none-eabi").floats
    assert find_target("thumbv7em-none-eabihf").floats


@pytest.mark.parametrize(
    ("triple", "cpu", "message"),
    [
        ("x86-linux", None, "--target: LLVM has no target 'x86-linux'"),
        (
            "aarch64-linux-gnu",
            "cortex-a27",
            "--cpu: LLVM knows no processor 'cortex-a27' for aarch",
        ),
        ("aarch64-linux-gnu", "cortex-a27", "did you mean 'cortex-a"),
        ("wasm32", "generic+simd", r"--cpu: LLVM knows no feature '\+simd' for wasm32"),
        ("s390x-linux-gnu", None, r"the highest byte of a number first \(big-endian\)"),
        ("avr", None, "avr has addresses of 16 bits; code can be made for little-endian"),
        ("x86_64-linux-gnu", "i386", "--target: LLVM cannot make code for x86_64-linux-gnu i386"),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(
    triple: str, cpu: str | None, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        find_target(triple, cpu)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("aarch64-linux-gnu", "aarch64-unknown-linux-gnu"),
        ("thumbv7em-none-eabihf", "thumbv7em-unknown-none-eabihf"),
        ("x86_64-pc-windows-msvc", "x86_64-pc-windows-msvc"),
        ("arm64-apple-macos", "arm64-apple-macos"),
        ("wasm32", "wasm32-unknown-unknown"),
    ],
)
def test_parts_of_a_triple_come_into_their_places(given: str, whole: str) -> None:
    assert normalize(given) == whole


@pytest.mark.parametrize(
    "triple",
    [
        triple if triple in FORMATS else pytest.param(triple, marks=pytest.mark.long)
        for triple in COMMON
    ],
)
def test_object_files_of_all_formats_need_nothing_but_arithmetic(triple: str) -> None:
    target = find_target(triple)
    compiled = Compilation(*small(), target).compile()

    assert all(name.startswith("__") for name in compiled.needs)
    assert bool(compiled.needs) == (not target.floats)
    assert 1_000 < compiled.code_bytes < 40_000
    assert 4 * small()[0].parameters <= compiled.weights_bytes < 8 * small()[0].parameters
    assert 0 < compiled.stack_bytes < 2_000


@needs("nm", "size")
def test_what_is_read_of_an_object_file_is_what_binutils_read(tmp_path: Path) -> None:
    text = (
        "declare void @outside(ptr)\n@numbers = constant [100 x i8] zeroinitializer\n"
        "define void @inside() { call void @outside(ptr @numbers) ret void }\n"
    )
    content = translate(Job("x86_64-linux-gnu", "x86-64", text=text)).content
    (tmp_path / "some.o").write_bytes(content)
    size = subprocess.run(["size", "some.o"], cwd=tmp_path, check=True, capture_output=True)
    names = subprocess.run(["nm", "-u", "some.o"], cwd=tmp_path, check=True, capture_output=True)

    contents = read_object(content)

    assert contents.loaded == int(size.stdout.split()[-3])
    assert list(contents.undefined) == names.stdout.decode().split()[1::2] == ["outside"]


def test_a_file_that_is_no_object_code_is_refused() -> None:
    with pytest.raises(EngineError, match="of a format that is not known"):
        read_object(b"#!/bin/sh")


def test_the_deepest_calls_are_added_up() -> None:
    text = (
        "define void @a() {\ncall void @b()\ncall void @c()\n}\n"
        "define internal void @b() {\ncall void @d()\n}\n"
        "define internal void @c() {\n%x = call <4 x float> @d(ptr %a)\n}\n"
        "define internal void @d() {\n}\n"
    )

    assert deepest(text, {"a": 8, "b": 100, "c": 40, "d": 16}, "a", 4) == 8 + 100 + 16 + 3 * 4


@pytest.mark.parametrize(
    ("text", "name"),
    [("xo", "xo"), ("my net-2", "my_net_2"), ("2d", "net_2d"), ("äö", "net"), ("for", "net_for")],
)
def test_names_become_names_in_c(text: str, name: str) -> None:
    assert name_in_c(text) == name


def test_the_child_that_runs_llvm_takes_no_module_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "llvmlite"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *sys.path])

    assert translate(Job("wasm32", "generic", text="", form="assembly")).layout
