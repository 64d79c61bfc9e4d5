"""Which devices PyTorch can compute on here."""

from __future__ import annotations

import torch

from gridcnn.errors import EngineError, listed, quoted


def find_device(device: str | None, precision: str) -> str:
    """Return the device to compute on; None asks for the first graphics card, or else `cpu`.

    Raises:
        EngineError: it is not here, or cannot compute in this precision.
    """
    known = known_devices()
    if device is None:
        device = known[-1] if len(known) == 1 else known[1]
    wanted = f"{device}:0" if device == "cuda" else device
    if wanted not in known:
        raise EngineError(
            f"there is no device {quoted(device)} here; PyTorch {torch.__version__} finds "
            f"{listed(known)}"
        )
    if precision == "bfloat16" and wanted.startswith("cuda"):
        with torch.cuda.device(wanted):
            if not torch.cuda.is_bf16_supported():
                raise EngineError(f"{wanted} does not compute in bfloat16; take float32")
    return wanted


def known_devices() -> list[str]:
    """Return the devices that are here: `cpu`, and then the graphics cards."""
    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    has_mps = bool(torch.backends.mps.is_available())
    return ["cpu", *cards, *(["mps"] if has_mps else [])]
