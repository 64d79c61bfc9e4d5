"""The last explanations, each under a name that cannot be guessed."""

from __future__ import annotations

import secrets
from collections import OrderedDict

from gridcnn.serve.limits import MB

_PAGES = 32
_BYTES = 64 * MB


class Shelf:
    """Pages in memory; the oldest are removed first."""

    def __init__(self) -> None:
        self._pages: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def put(self, page: bytes) -> str:
        """Keep a page, and return its name."""
        key = secrets.token_urlsafe(16)
        self._pages[key] = page
        self._size += len(page)
        while len(self._pages) > _PAGES or (self._size > _BYTES and len(self._pages) > 1):
            _, oldest = self._pages.popitem(last=False)
            self._size -= len(oldest)
        return key

    def get(self, key: str) -> bytes | None:
        """Return a page; None if it is not kept any more."""
        return self._pages.get(key)
