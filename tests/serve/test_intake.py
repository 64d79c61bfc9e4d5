"""Bodies that are read for a model."""

from __future__ import annotations

import pytest

from gridcnn.adapters.text import TextAdapter
from gridcnn.serve.intake import Intake
from gridcnn.serve.limits import Limits
from gridcnn.serve.refusals import Refusal
from gridcnn.spec.load import load


@pytest.mark.parametrize("charset", ["klingon", "hex", "a\0b", "ascii"])
def test_a_body_that_is_not_text_in_its_charset_is_refused(charset: str) -> None:
    """Nobody has such a charset, or it has no such bytes."""
    adapter = TextAdapter(length=8).fitted(["abc"])
    spec = load({"adapter": "text", "stages": ["rectification"], "head": "voting"})

    with pytest.raises(Refusal) as caught:
        Intake(spec, adapter, Limits()).items("é".encode(), f"text/plain; charset={charset}")

    assert caught.value.status == 415
    assert "the body is not text in the charset" in str(caught.value)
