"""Ctrl-C and SIGTERM: no traceback at any moment, the right exit code, and nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from benchmarks import stopping as measured

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
BEGIN = """
    import os, signal, sys, time
    from gridcnn.cli import stopping
    stopping.begin()
"""
LISTEN = f"""{BEGIN}
    stopping.listen()
"""


def ended(*programs: str, folder: Path) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of a program in parts."""
    program = "".join(textwrap.dedent(each) for each in programs)
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return found.returncode, found.stdout, found.stderr


# Where a signal comes


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_at_the_start_ends_the_process_at_once(
    name: str, code: int, tmp_path: Path
) -> None:
    """No import sees it as a fault of its own, and nothing has to be cleaned up."""
    program = f"""
        try:
            signal.raise_signal(signal.{name})
        finally:
            print("still here")
    """
    assert ended(BEGIN, program, folder=tmp_path) == (code, "", "stopped\n")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_at_work_raises_keyboard_interrupt(name: str, code: int, tmp_path: Path) -> None:
    """So that files are closed, and a run says how to go on."""
    program = f"""
        try:
            signal.raise_signal(signal.{name})
        except KeyboardInterrupt:
            print("cleaned up", stopping.was_stopped())
        sys.exit(stopping.code())
    """
    assert ended(LISTEN, program, folder=tmp_path) == (code, "cleaned up True\n", "")


def test_a_signal_when_all_is_said_ends_the_process_in_silence(tmp_path: Path) -> None:
    program = """
        stopping.finish()
        import atexit
        atexit.register(signal.raise_signal, signal.SIGINT)
    """
    assert ended(LISTEN, program, folder=tmp_path) == (130, "", "")


@pytest.mark.parametrize("how", ["import broken", "broken()", "gone()", "sorted([1, 2], key=rude)"])
def test_keyboard_interrupt_waits_for_code_that_it_would_harm(how: str, tmp_path: Path) -> None:
    """An import, a finalizer, and a callback that Python would print it from and go on."""
    (tmp_path / "broken.py").write_text(
        textwrap.dedent("""
            import signal
            try:
                signal.raise_signal(signal.SIGINT)
                for _ in range(1000):
                    pass
            except BaseException as error:
                raise ImportError("cannot be imported") from error
        """)
    )
    program = f"""
        import weakref

        class Finalized:
            def __del__(self):
                signal.raise_signal(signal.SIGINT)
                print("finalized")

        def broken():
            Finalized()

        def gone():
            def call(_):
                signal.raise_signal(signal.SIGINT)
                for _ in range(1000):
                    pass
            class Held: pass
            held = Held()
            kept.append(weakref.ref(held, call))

        def rude(number):
            signal.raise_signal(signal.SIGINT)
            return number

        def idle():
            # Python 3.13 does not catch what is raised at the end of a loop of the try block.
            end = time.monotonic() + 60
            while time.monotonic() < end:
                time.sleep(0.001)

        kept = []
        try:
            {how}
            idle()
        except KeyboardInterrupt:
            print("cleaned up")
    """
    code, output, errors = ended(LISTEN, program, folder=tmp_path)
    assert (code, errors) == (0, "")
    assert output.removeprefix("finalized\n") == "cleaned up\n"
    assert ("finalized" in output) == (how == "broken()")


@pytest.mark.parametrize(
    ("twice", "after", "expected"), [(600.0, 0.0, (0, "whole\n")), (0.1, 0.2, (130, ""))]
)
def test_a_second_signal_ends_the_process_unless_it_comes_with_the_first(
    twice: float, after: float, expected: tuple[int, str], tmp_path: Path
) -> None:
    """Make and npm pass on what the terminal sends as well: that must not break the clean-up."""
    # A busy machine may take any time from one line to the next, but never less than a sleep.
    program = f"""
        stopping._TWICE = {twice}
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            time.sleep({after})
            signal.raise_signal(signal.SIGINT)
            print("whole")
    """
    code, output, errors = ended(LISTEN, program, folder=tmp_path)
    assert (code, output) == expected
    assert errors == ("stopped\n" if code else "")


def test_signals_that_are_to_be_ignored_stay_ignored(tmp_path: Path) -> None:
    """As for commands that a shell starts with nohup, or in the background."""
    program = """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        stopping.begin()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        print("still here")
    """
    imports = BEGIN.replace("stopping.begin()", "")
    assert ended(imports, program, folder=tmp_path) == (0, "still here\n", "")


# What a verb makes of it


@pytest.mark.parametrize(
    "swallow", ["pass", "raise ImportError('numpy failed')", "raise SystemExit(2)"]
)
def test_a_library_that_swallows_keyboard_interrupt_does_not_matter(
    swallow: str, tmp_path: Path
) -> None:
    """Whatever it makes of it, the command was stopped."""
    program = f"""
        import typer
        from gridcnn.cli import main

        @main.app.command()
        def swallow():
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                {swallow}

        main.main(["swallow"])
    """
    assert ended(BEGIN, program, folder=tmp_path) == (130, "", "stopped\n")


@pytest.mark.parametrize("moment", ["", "stopping.finish()"])
def test_the_cursor_is_shown_again(moment: str, tmp_path: Path) -> None:
    """A progress bar hides it, and may be stopped before it could show it again."""
    program = f"""
        from gridcnn.cli import main, screen

        @main.app.command()
        def hide():
            screen.messages().show_cursor(False)
            {moment}
            signal.raise_signal(signal.SIGINT)

        main.main(["hide"])
    """
    terminal, end = os.openpty()
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BEGIN) + textwrap.dedent(program)],
        stderr=end,
        env={**os.environ, "TERM": "xterm"},
        check=False,
        timeout=120,
    )
    os.close(end)
    said = os.read(terminal, 4096).decode()
    os.close(terminal)

    assert process.returncode == 130
    assert said.startswith("\x1b[?25l")
    assert "\x1b[?25h" in said


# At any moment


def stop_often(times: int, folder: Path, monkeypatch: pytest.MonkeyPatch, *, seed: int) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    assert measured.main(times, signal.SIGINT, seed=seed) == 0


def test_commands_can_be_stopped_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After some times, on a machine that is busy."""
    stop_often(3, tmp_path, monkeypatch, seed=0)


@pytest.mark.long
def test_commands_can_be_stopped_two_hundred_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After other times in each run."""
    stop_often(200, tmp_path, monkeypatch, seed=time.time_ns())
