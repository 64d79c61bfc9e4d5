"""Regular expressions that users write."""

from __future__ import annotations

import re
import warnings


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return a regular expression, ready to be used.

    Raises:
        ValueError: it is not a valid regular expression.
    """
    try:
        with warnings.catch_warnings():
            # Python warns of signs that a later version may read in another way.
            warnings.simplefilter("ignore")
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
