"""Regular expressions that users write."""

from __future__ import annotations

import pytest

from gridcnn.settings.patterns import compile_pattern


@pytest.mark.parametrize("pattern", ["([[a-z])_", "([+--])", "([a&&b])", "([a||b])", "([a~~b])"])
def test_what_a_later_python_may_read_otherwise_is_no_warning(pattern: str) -> None:
    """Python warns of such signs; the user who wrote them can do nothing about it here."""
    assert compile_pattern(pattern).groups == 1


@pytest.mark.parametrize("pattern", ["(", "(a{99999999999999999999})", "(?P<a>b", "[", "*", "(?z)"])
def test_what_is_none_is_an_error_with_the_reason(pattern: str) -> None:
    """Of one kind, whatever is wrong."""
    with pytest.raises(ValueError, match=r"\w"):
        compile_pattern(pattern)
