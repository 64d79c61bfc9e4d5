"""The formats of export by name, and the one way to write a model in one of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gridcnn.errors import RunFolderError, SpecError, UnknownNameError, listed, quoted
from gridcnn.export.format import Exported, Format
from gridcnn.model import Model
from gridcnn.outputs import refuse_taken, write_output
from gridcnn.registry import Registry

FORMATS = Registry(
    "export format",
    {
        "onnx": "gridcnn.export.onnx.format:Onnx",
        "page": "gridcnn.export.page:Page",
        "pytorch": "gridcnn.export.pytorch:PyTorch",
        "c": "gridcnn.export.compiled.format:C",
    },
    foreign={"torch": "pytorch", "html": "page", "h": "c"},
)


_ONE_VIEW = (
    "the model answers from {views} views of an item, and this file from the item alone, so some "
    "answers differ; `training.views: 1` measures how often it is right"
)


@dataclass(frozen=True)
class Written:
    """What `export` has written, or `prepare` has made.

    Attributes:
        paths: the files; the first is the one that was asked for.
        format: the format and its options.
        made: what the files hold, and facts about them.
    """

    paths: tuple[Path, ...]
    format: Format
    made: Exported

    def write(self, *, overwrite: bool = False, remedy: str = "overwrite=True") -> None:
        """Write the files; raise `RunFolderError` if one must not be replaced, or cannot be."""
        for each, content in zip(self.paths, self.made.contents.values(), strict=True):
            write_output(each, content, self.format.mark, force=overwrite, remedy=remedy)


def make_format(name: str, options: dict[str, Any]) -> Format:
    """Return a format with its options.

    Raises:
        UnknownNameError: there is no such format.
        SpecError: it does not take an option, or not this value.
    """
    chosen: type[Format] = FORMATS[name]
    strangers = [option for option in options if option not in chosen.model_fields]
    if strangers:
        takers = {
            option: [other for other in FORMATS if option in FORMATS[other].model_fields]
            for option in strangers
        }
        raise SpecError(
            *(
                f"the option {quoted(option)} is for --to {listed(takers[option])}; got --to {name}"
                if takers[option]
                else f"there is no option {quoted(option)} of an export"
                for option in strangers
            )
        )
    form: Format = chosen(**options)
    return form


def export(
    model: Model,
    to: str,
    path: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    remedy: str = "overwrite=True",
    **options: Any,
) -> Written:
    """Write a model in another form, whole or not at all.

    Args:
        model: the trained model.
        to: the name of the format, as `onnx`.
        path: the file to write; None: the name of the spec in the current folder, with the usual
            ending.
        overwrite: replace files that gridcnn did not write.
        remedy: how the caller says `overwrite`, for messages.
        options: those of the format.

    Raises:
        UnknownNameError: there is no such format.
        SpecError: an option is wrong, the path has another ending, or the model has something that
            the format cannot express.
        RunFolderError: a file must not be replaced, or cannot be written.
        UserError: a package is missing.
    """
    written = prepare(model, make_format(to, options), path, overwrite=overwrite, remedy=remedy)
    written.write(overwrite=overwrite, remedy=remedy)
    return written


def prepare(
    model: Model,
    form: Format,
    path: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    remedy: str = "overwrite=True",
) -> Written:
    """Return what `Written.write` will write; arguments and errors are those of `export`."""
    target = Path(path) if path is not None else Path(f"{model.spec.name}{form.endings[0]}")
    if path is not None:
        _refuse_name(target, form, model.spec.name)
    paths = form.paths(target)
    for file in paths.values():
        refuse_taken(file, form.mark, force=overwrite, remedy=remedy)
    exported = form.export(model.with_one_view(), target)
    contents = {ending: exported.contents[ending] for ending in paths}
    views = model.spec.training.views
    notes = (*exported.notes, *((_ONE_VIEW.format(views=views),) if views > 1 else ()))
    return Written(tuple(paths.values()), form, replace(exported, contents=contents, notes=notes))


def _refuse_name(path: Path, form: Format, usual: str) -> None:
    """Raise `SpecError` if a path has not the ending of a format's first file."""
    if not path.name:
        raise RunFolderError("the file to write has an empty name; name a file")
    ending = form.endings[0]
    if path.suffix.lower() in (ending, *form.names):
        return
    stem = path.stem if path.stem.strip(".") and path.name[:1] != "." else usual
    raise SpecError(
        f"--to {form.title} writes a file whose name ends with {ending}; got {quoted(str(path))}; "
        f"give a name such as {stem}{ending}"
    )


__all__ = ["FORMATS", "UnknownNameError", "Written", "export", "make_format", "prepare"]
