"""The targets, by what they read."""

from __future__ import annotations

from fuzz.target import Target


def targets() -> dict[str, Target]:
    """Return all targets by their names."""
    from fuzz.targets import (
        archives,
        arrays,
        caches,
        folders,
        models,
        pictures,
        publics,
        requests,
        runs,
        sounds,
        specs,
        tables,
        texts,
    )

    rooms = (
        specs, models, runs, caches, tables, arrays, folders, pictures, sounds, texts, archives,
        publics, requests,
    )  # fmt: skip
    return {target.name: target for room in rooms for target in room.TARGETS}
