"""What `gridcnn run` shows of nudges."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gridcnn.cli.display import SHOWN_NUDGES
from gridcnn.cli.main import app

SPEC = """
name: tiny
data: {source: {xo: {count: 20, size: [8, 8]}}, validation: 0}
adapter: {image: {size: [8, 8]}}
stages: [convolution: {filters: 1}, {pooling: {window: all}}]
head: voting
training: {method: nudge, epochs: 2, batch_size: 8}
"""
_NUDGE = re.compile(
    r"^(\S+\[[\d,]+\]) +(\S+) loss (\S+) +up +(\S+) loss (\S+) +down +(\S+) loss (\S+) +"
    r"kept: (up|down|as it was)$"
)


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what the run prints."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    result = CliRunner().invoke(app, ["run", "tiny.yaml"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_a_run_shows_a_few_nudges_before_its_first_epoch(lines: list[str]) -> None:
    """Each with its value, the two that were tried, the loss of all three, and what is kept."""
    nudges = [match for match in map(_NUDGE.fullmatch, lines) if match]
    last = max(number for number, line in enumerate(lines) if _NUDGE.fullmatch(line))

    assert len(nudges) == SHOWN_NUDGES
    assert "14 values are nudged" in "\n".join(lines)
    assert last < next(number for number, line in enumerate(lines) if "epoch 1/2" in line)
    for match in nudges:
        losses = {"as it was": match[3], "up": match[5], "down": match[7]}
        assert float(losses[match[8]]) == min(map(float, losses.values()))
        assert float(match[6]) < float(match[2]) < float(match[4])
