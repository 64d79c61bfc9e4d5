"""The contract of a format of export: settings that turn a model into files of another program."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from gridcnn.contracts.adapter import Things
from gridcnn.errors import SpecError
from gridcnn.model import Model
from gridcnn.settings.base import Settings


@dataclass(frozen=True)
class Exported:
    """The files of a model in another form.

    Attributes:
        contents: what each file holds, by its ending: those of `Format.endings`.
        facts: what users need to know to use the files, by its name, such as `{"opset": 17}`:
            plain numbers, texts, and lists and mappings of these.
        notes: sentences to print once.
    """

    contents: Mapping[str, bytes]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


class Format(Settings, abc.ABC):
    """A form in which a model leaves; its settings are the options of `gridcnn export`.

    Every setting has a default, and the name of its option.
    """

    entry: ClassVar[str] = "option"
    endings: ClassVar[tuple[str, ...]] = ()
    """The endings of the files, with the dot; the first is that of the path that users give, and
    the others replace it."""
    names: ClassVar[tuple[str, ...]] = ()
    """Other endings of the path that users give, as `.htm`."""
    mark: ClassVar[bytes | None] = b"gridcnn"
    """Bytes near the beginning of each of the files, by which a file that gridcnn has written is
    known and replaced; None: files are never replaced unless users ask for it."""

    def paths(self, path: Path) -> dict[str, Path]:
        """Return the path of each file, by its ending."""
        first, *others = self.endings
        return {first: path, **{ending: path.with_suffix(ending) for ending in others}}

    @abc.abstractmethod
    def export(self, model: Model, path: Path) -> Exported:
        """Return the files of a model.

        Args:
            model: the trained model.
            path: where the first file will be written, for files that name each other.

        Raises:
            UserError: the model has something that cannot be expressed, which is named; or a
                package is missing.
        """

    def refuse_check(self) -> None:
        """Raise `UserError` if votes of the files cannot be compared with the model's here."""
        raise SpecError(f"'check' is not for --to {self.title}, which cannot be run here")

    def largest_difference(
        self,
        model: Model,  # noqa: ARG002 - for those that can run what they have made
        made: Exported,  # noqa: ARG002 - the same
        things: Things,  # noqa: ARG002 - the same
    ) -> float:
        """Return by how much votes of the files differ from those of the model, at most.

        Args:
            model: the trained model.
            made: what `export` has returned for it.
            things: items that the model's adapter can read.

        Raises:
            UserError: it cannot be run here.
        """
        self.refuse_check()
        raise NotImplementedError
