"""The slopes of the built-in heads' losses, computed where the logits are.

The same arithmetic as in `gridcnn.stages.voting`, in PyTorch: if the logits went to the processor
and their slopes came back, a graphics card would wait in the middle of every step. Other heads'
slopes come from their own `losses`, by that way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gridcnn.contracts.stage import HeadStage
from gridcnn.contracts.targets import SoftTargets, Targets, soften
from gridcnn.stages.voting import IndependentVotes, Votes


def slopes_of(head: HeadStage, logits: Tensor, targets: Targets | SoftTargets) -> Tensor:
    """Return the gradient of each item's loss by its logits `(items, classes)`."""
    # Exactly these classes: a subclass may have another loss.
    if type(head) is Votes:
        parts = _beside(soften(targets, logits.shape[1]), logits)
        return torch.softmax(logits, dim=1) * parts.sum(dim=1, keepdim=True) - parts
    if type(head) is IndependentVotes:
        wanted = _beside(targets, logits)
        slopes = (torch.sigmoid(logits) - wanted) / logits.shape[1]
        return torch.where(torch.isnan(wanted), torch.zeros_like(slopes), slopes)
    with np.errstate(over="ignore", invalid="ignore"):
        _, slopes = head.losses(logits.cpu().numpy(), targets)
    return _beside(slopes, logits)


def _beside(array: Any, logits: Tensor) -> Tensor:
    """Return NumPy's numbers on the device and in the precision of the logits."""
    return torch.tensor(array, dtype=logits.dtype, device=logits.device)
