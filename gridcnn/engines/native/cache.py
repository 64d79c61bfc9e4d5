"""Object code that is kept on disk, so that it is made once for all processes of a user.

What is read here will be executed. An entry counts only if it is whole, if it is of the key that is
asked for, and if only this user and the system's administrator could have written it. In all
other cases, also if nothing can be read or written, there is no entry.
"""

from __future__ import annotations

from pathlib import Path

from gridcnn.caches import Entries, key_of, user_folder

__all__ = ["ObjectCache", "key_of", "object_cache"]


def object_cache() -> ObjectCache:
    """Return the user's cache.

    `user_folder` says where it is.
    """
    return ObjectCache(user_folder("objects"))


class ObjectCache(Entries):
    """A folder of object code; any number of processes may use it at the same time.

    Args:
        folder: made with the first entry. None holds nothing.
        limit: how many bytes it holds. The entries that were not used for longest go first.
    """

    def __init__(self, folder: Path | None, *, limit: int = 256_000_000) -> None:
        super().__init__(folder, kind="object", limit=limit)
