"""The end of a starter spec: its head and its training."""

from __future__ import annotations

_TRAINING = """\
training:
  epochs: {epochs}
  batch_size: {batch}
  optimizer: adam
  learning_rate: {rate}
  schedule: cosine
{more}\
  seed: 0              # the same seed gives the same model, bit for bit
"""


def write_end(head: str, *, epochs: int, batch: int, rate: float, more: str = "") -> str:
    """Return the lines of the head, as they are given, and those of the training.

    `more` are lines with more settings of the training.
    """
    training = _TRAINING.format(epochs=epochs, batch=batch, rate=rate, more=more)
    return f"{head}\n{training}"
