"""What a starter spec says about many pictures: a residual network, and its training."""

from __future__ import annotations

from gridcnn.grid import GridShape
from gridcnn.runs import endings

_FEWEST_ITEMS = 500
"""Fewer pictures are learned by heart either way, and the plain network is faster."""
_SMALLEST = 24
"""Cells of the shorter side: the maps of the last blocks still have 6 x 6 cells."""
_LARGE = 48
"""From here on a pooling after the first convolution keeps the cost at that of 32 x 32 cells."""
_BATCH = 64
_STEPS = 1_500
"""Moves of the optimizer for few pictures; a plain network needs some 600."""
_EPOCHS = (15, 60)

_STEM = """\
stages:
  # Each filter is a mini-image; its map shows how well it matches.
  - convolution: {filters: 16, bias: false}
  # Each map becomes a mean of 0 and a variance of 1, over some items of a batch, and gets a gain
  # and a bias that are learned.
  - normalization
  # Negative matches become 0.
  - rectification
"""
_POOLING = """\
  # The best match in each window is kept, so that the rest has a quarter of the work.
  - pooling: {window: 2}
"""
_BLOCK = """\
  - skip:
      stages:
        - convolution: {{filters: {filters}{stride}, bias: false}}
        - normalization
        - rectification
        - convolution: {{filters: {filters}, bias: false}}
        - normalization
  - rectification
"""
_FIRST = """\
  # A residual block: what enters is added to what these stages make of it. So a block only learns
  # what is to be changed, and many of them can follow each other.
"""
_NEXT = "  # Twice as many filters; a stride of 2 halves the rows and columns.\n"
_LAST = """\
  # The mean of each map: how much of its feature there is, wherever in the picture.
  - pooling: {window: all, mode: mean}
"""
_HEAD = """\
# These means vote for the classes.
head: voting
"""
_MIRROR = """\
  augmentation:
    - flip: columns    # half of the pictures are mirrored; remove it if left and right matter
    - shift: {shift}         # all are moved by up to so many cells
"""


def suits(shape: GridShape, items: int) -> bool:
    """Return whether there are enough pictures, of enough cells, for a residual network."""
    return items >= _FEWEST_ITEMS and min(shape.rows, shape.columns) >= _SMALLEST


def write_stages(shape: GridShape) -> str:
    """Return a residual network with three blocks (He et al., 2016), as the stages of a spec."""
    pooling = _POOLING if min(shape.rows, shape.columns) >= _LARGE else ""
    blocks = (
        _FIRST + _BLOCK.format(filters=16, stride=""),
        _NEXT + _BLOCK.format(filters=32, stride=", stride: 2"),
        _BLOCK.format(filters=64, stride=", stride: 2"),
    )
    return _STEM + pooling + "".join(blocks) + _LAST


def write_end(shape: GridShape, items: int) -> str:
    """Return the head and the training for so many pictures.

    Colour pictures are mostly photographs, which may be mirrored; grey ones may be letters.
    """
    fewest, most = _EPOCHS
    epochs = min(max(fewest, round(_STEPS * _BATCH / max(items, 1))), most)
    shift = max(1, min(shape.rows, shape.columns) // 16)
    augmentation = _MIRROR.format(shift=shift) if shape.channels == 3 else ""
    return endings.write_end(_HEAD, epochs=epochs, batch=_BATCH, rate=0.003, more=augmentation)
