"""Too little memory and no threads to be had: one line with the reason, and exit code 2."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gridcnn.cli import limits
from gridcnn.errors import UserError

with_limits = pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")


def limited(limit: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line under a limit of the shell, with as many threads as libraries want."""
    command = shlex.join([sys.executable, "-m", "gridcnn", *arguments])
    return subprocess.run(
        ["sh", "-c", f"ulimit {limit} && exec {command}"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in limits._VARIABLES},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@with_limits
@pytest.mark.parametrize(
    ("limit", "verb"),
    [
        ("-v 32000", "run xo --out new"),
        ("-v 70000", "check new.csv"),
        ("-v 160000", "run xo --out new"),
        ("-v 280000", "predict new new.png"),
        ("-d 20000", "show xo"),
        ("-d 60000", "init new.csv"),
    ],
)
def test_too_little_memory_to_start_is_said_in_one_line(
    limit: str, verb: str, tmp_path: Path
) -> None:
    """Whichever library would be the first that does not fit in."""
    done = limited(limit, *verb.split(), folder=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is not enough memory")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@with_limits
@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may start any number")
def test_no_threads_are_needed(tmp_path: Path) -> None:
    """Where none can be had, all is done by one."""
    done = limited("-u 1", "show", "xo", "--plan", folder=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("MemoryError()", "error: there is not enough memory; use less data at a time"),
        ("np.empty(2**57)", "error: there is not enough memory (Unable to allocate 1.00 EiB"),
        ("OSError(12, 'Cannot allocate memory')", "error: there is not enough memory; use"),
        ("ImportError('x.so: failed to map segment')", "error: there is not enough memory; use"),
        ('RuntimeError("can\'t start new thread")', "error: no more threads can be started; "),
    ],
)
def test_what_is_missing_later_is_said_in_one_line(error: str, said: str, tmp_path: Path) -> None:
    """The traceback stays behind --debug."""
    program = f"""
        from gridcnn.cli import main
        from gridcnn.__main__ import main as start
        import numpy as np, sys

        @main.app.command()
        def fail():
            raise {error}

        start()
    """

    def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    plain = ended("fail")
    assert plain.returncode == 2
    assert plain.stderr.startswith(said)
    assert plain.stderr.count("\n") == 1
    if error == "MemoryError()":
        debug = ended("--debug", "fail")
        assert debug.returncode == 2
        assert debug.stderr.startswith("Traceback")
        assert debug.stderr.endswith(plain.stderr)


def test_libraries_start_no_threads_if_these_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenBLAS would end the process; what the user has set stays."""
    for name in limits._VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(limits, "_cores", lambda: 4)
    monkeypatch.setattr(limits, "has_room", lambda size, **_: True)
    monkeypatch.setattr(limits, "startable_threads", lambda wanted: wanted)
    limits.prepare_libraries()
    assert not set(limits._VARIABLES) & set(os.environ)

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(limits, "startable_threads", lambda wanted: wanted - 1)
    limits.prepare_libraries()
    assert [os.environ[name] for name in limits._VARIABLES] == ["1", "3", "1"]


def test_libraries_start_no_threads_if_there_is_no_memory_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in limits._VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(limits, "_cores", lambda: 4)
    monkeypatch.setattr(
        limits, "has_room", lambda size, written=True: size <= limits._DATA + (not written) * 10**9
    )
    limits.prepare_libraries()
    assert [os.environ[name] for name in limits._VARIABLES] == ["1"] * 3

    monkeypatch.setattr(limits, "has_room", lambda size, written=True: written)
    with pytest.raises(UserError, match=r"to start: 330 MB are needed, .* \(see ulimit -v\)"):
        limits.prepare_libraries()
    monkeypatch.setattr(limits, "has_room", lambda size, written=True: not written)
    with pytest.raises(UserError, match=r"to start: 100 MB are needed, .* \(see ulimit -d\)"):
        limits.prepare_libraries()
