"""The molecule adapter: each token of a SMILES is a column with a single 1."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray
from pydantic import PlainSerializer, PlainValidator, Strict, WithJsonSchema, model_validator

from gridcnn.adapters import chemistry
from gridcnn.adapters.smiles import (
    has_doubled_backslashes,
    is_token,
    tokens,
    without_extension,
)
from gridcnn.adapters.text import Length, Percentile, length_of_most
from gridcnn.contracts.adapter import Adapted, OneHotAdapter, Things
from gridcnn.errors import DataError, listed, quoted, shown
from gridcnn.forks import cached_property
from gridcnn.grid import Axis, Cells, GridShape
from gridcnn.settings.base import Count, Flag, wanted_error

_AUTO = "auto"
_MOST = 1_000  # tokens of an alphabet
_DOUBLED = (
    "with two backslashes in a row in the SMILES (an escape of program code), which are read as "
    "one; write one backslash instead"
)
_EXTENDED = (
    "with an extension after the SMILES, between bars (CXSMILES), which is ignored; leave it out"
)


def _read_alphabet(value: Any) -> tuple[str, ...]:
    is_list = isinstance(value, list | tuple) and 0 < len(value) <= _MOST
    if not is_list or not all(isinstance(each, str) for each in value):
        raise wanted_error(
            f"a list of up to {_MOST:,} tokens or null (a ring number needs quotes, as '1')"
        )
    return tuple(value)


Tokens = Annotated[
    tuple[str, ...],
    PlainValidator(_read_alphabet),
    PlainSerializer(list),
    WithJsonSchema({"type": "array", "items": {"type": "string"}}),
]
"""A list of tokens."""
Forms = Annotated[int, Strict(), Ge(0), Le(1_000)]
"""A number of other forms of each training molecule."""


@dataclass(frozen=True)
class Written:
    """A SMILES that the molecule adapter reads as it is, even if others are made canonical."""

    smiles: str


class MoleculeAdapter(OneHotAdapter):
    """Molecules, given as SMILES: a column for each token, with a 1 in the row of that token.

    Rows have no order, and columns are in the order of the SMILES. Columns after the end of a
    shorter one hold no 1. What is null or `auto` is learned from the training molecules. The
    grammar of every SMILES is checked; its chemistry only if RDKit is asked for.
    """

    title: ClassVar[str] = "molecule"
    texts: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("rdkit",)

    brackets: Literal["parts", "whole"] = "parts"
    """What an atom in brackets is. `parts`: `[C@@H]` is `[`, `C`, `@@`, `H`, `]`, so that an atom
    that no training molecule has is known by its parts; `whole`: a single token."""
    alphabet: Tokens | None = None
    """The tokens that have a row, in the order of the rows. null: learned, at most 1,000, the most
    frequent first."""
    min_count: Count = 1
    """How many times a token must occur in the training molecules to be learned."""
    length: Length = _AUTO
    """Columns of the grid. `auto`: as many as `length_percentile` says of the training molecules.
    Of a longer SMILES the end is left out."""
    length_percentile: Percentile = 95.0
    """With `length: auto`, the part of the training molecules, in percent, that are not cut."""
    unknown: Literal["ignore", "symbol"] = "ignore"
    """What happens to tokens without a row. `ignore`: their columns hold no 1; `symbol`: they
    share one more row, the last."""
    canonical: Flag = False
    """Whether every SMILES is rewritten, so that each molecule has only one. A molecule that RDKit
    refuses is a bad item. This and the next settings need RDKit (`gridcnn[chem]`)."""
    isomeric: Flag = True
    """Whether a rewritten SMILES has stereo marks and isotopes; `false` needs `canonical:
    true`."""
    salts: Literal["keep", "strip"] = "keep"
    """With `canonical: true`, `strip` keeps one part of a molecule of several: one with carbon, if
    there is any, and of these the largest."""
    variants: Forms = 0
    """How many random SMILES of each training molecule are trained on besides its own. They mean
    the same, and begin at other atoms."""

    @model_validator(mode="after")
    def _settings_fit(self) -> Self:
        wrong = [
            written
            for written, given in (
                ("isomeric: false", not self.isomeric),
                ("salts: strip", self.salts == "strip"),
            )
            if given and not self.canonical
        ]
        if wrong:
            raise ValueError(f"{quoted(wrong[0])} rewrites molecules; set 'canonical: true' too")
        if self.alphabet is None:
            return self
        twice = [symbol for symbol, count in Counter(self.alphabet).items() if count > 1]
        if twice:
            named = listed([shown(symbol) for symbol in twice])
            raise ValueError(f"'alphabet' must have every token once; it repeats {named}")
        for symbol in self.alphabet:
            if not is_token(symbol, whole=self.brackets == "whole"):
                raise ValueError(
                    f"'alphabet' has {shown(symbol)}, which is not a token of a SMILES with "
                    f"'brackets: {self.brackets}'"
                )
        return self

    def fitted(self, things: Things) -> Self:
        """Return an adapter with the alphabet and the length of the training molecules filled in.

        Items that are not molecules are skipped here; `adapt_all` reports them.

        Raises:
            DataError: there is no molecule to learn from, no token occurs `min_count` times, or
                RDKit is needed and not installed.
        """
        self._need_rdkit()
        if self.alphabet is not None and self.length != _AUTO:
            return self
        counts: Counter[str] = Counter()
        lengths = []
        for read in self._readable(things):
            counts.update(read)
            lengths.append(len(read))
        if not lengths:
            raise DataError(
                "no molecule can be read, so there is nothing to learn from; give SMILES, or set "
                "'alphabet' and 'length' of molecule"
            )
        learned = self.model_dump()
        if self.alphabet is None:
            learned["alphabet"] = self._learn_alphabet(counts)
        if self.length == _AUTO:
            learned["length"] = length_of_most(lengths, self.length_percentile)
        return type(self).model_validate(learned)

    def other_forms(self, thing: Any, random: np.random.Generator) -> Sequence[Any]:
        """Return `variants` random SMILES of a molecule; none if it cannot be read.

        Those of a small molecule may be equal. They are kept, so that every molecule counts as much
        as any other.

        Raises:
            DataError: RDKit is needed and not installed.
        """
        if not self.variants:
            return ()
        self._need_rdkit()
        try:
            molecule = chemistry.molecule(_smiles_of(thing))
        except DataError:
            return ()
        if self.salts == "strip":
            molecule = chemistry.without_salts(molecule)
        return [
            Written(chemistry.shuffle_atoms(molecule, random, isomeric=self.isomeric))
            for _ in range(self.variants)
        ]

    def remarks(
        self,
        things: Things,
        grids: Cells,  # noqa: ARG002 - the texts tell it
        *,
        training: bool = False,  # noqa: ARG002 - it holds for all items
    ) -> Mapping[str, int]:
        """Return how many SMILES have doubled backslashes, and how many an extension."""
        texts = [thing for thing in things if isinstance(thing, str)]
        return {
            _DOUBLED: sum(map(has_doubled_backslashes, texts)),
            _EXTENDED: sum(without_extension(text) != text for text in texts),
        }

    def shape(self) -> GridShape:
        """Return the shape of every grid, `1 x tokens x length`.

        Raises:
            DataError: the alphabet or the length is neither set nor learned.
        """
        if isinstance(self.length, str):
            raise DataError(
                "the molecule adapter has not learned its length yet; train it, or set 'length'"
            )
        labels = (*self._symbols(), *(["unknown"] if self.unknown == "symbol" else []))
        rows = Axis("token", labels=labels, ordered=False)
        return GridShape(1, len(labels), self.length, rows, Axis("position"))

    def tokens(self, thing: Any) -> list[str]:
        """Return the tokens of one molecule, before any is cut off or unknown.

        Args:
            thing: its SMILES, or a `Written` one.

        Raises:
            DataError: it is not a text, or not a valid SMILES; each problem has its place in the
                text.
        """
        read = tokens(self.smiles(thing))
        if self.brackets == "whole":
            return [token.text for token in read]
        return [part for token in read for part in token.parts()]

    def indices(self, thing: Any) -> NDArray[np.int32]:
        """Return for one molecule the row of each column's 1, int32 `(length,)`; -1 for no 1.

        Raises:
            DataError: as `tokens` does.
        """
        indices = np.full(self.shape().columns, -1, np.int32)
        rows, other = self._rows
        read = self.tokens(thing)[: len(indices)]
        indices[: len(read)] = [rows.get(token, other) for token in read]
        return indices

    def adapt_all(
        self,
        things: Things,
        *,
        names: Sequence[str] | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> Adapted:
        """Return all molecules as one-hot grids, and a problem for each that cannot be read."""
        self._need_rdkit()  # once, and not as the problem of every molecule
        return super().adapt_all(things, names=names, advance=advance)

    # What a molecule consists of -----------------------------------------------------------------

    def smiles(self, thing: Any) -> str:
        """Return the SMILES that becomes a grid, rewritten if the settings say so.

        Raises:
            DataError: it is not a text, or RDKit is needed and refuses it.
        """
        if isinstance(thing, Written):
            return thing.smiles
        smiles = _smiles_of(thing)
        if not self.canonical:
            return smiles
        molecule = chemistry.molecule(smiles)
        if self.salts == "strip":
            molecule = chemistry.without_salts(molecule)
        return chemistry.canonical(molecule, isomeric=self.isomeric)

    def _readable(self, things: Things) -> Iterator[list[str]]:
        for thing in things:
            try:
                yield self.tokens(thing)
            except DataError:
                continue

    def _need_rdkit(self) -> None:
        """Raise `DataError` if a setting needs RDKit, and it is not installed."""
        if self.canonical or self.variants:
            setting = "canonical: true" if self.canonical else f"variants: {self.variants}"
            chemistry.need_rdkit(f"{quoted(setting)} of molecule")

    # What is set or learned ----------------------------------------------------------------------

    def _symbols(self) -> tuple[str, ...]:
        if self.alphabet is None:
            raise DataError(
                "the molecule adapter has not learned its alphabet yet; train it, or set 'alphabet'"
            )
        return self.alphabet

    @cached_property
    def _rows(self) -> tuple[dict[str, int], int]:
        """The row of each token, and the row of unknown tokens."""
        known = self._symbols()
        rows = {token: row for row, token in enumerate(known)}
        return rows, len(known) if self.unknown == "symbol" else -1

    def _learn_alphabet(self, counts: Counter[str]) -> list[str]:
        enough = [token for token, count in counts.items() if count >= self.min_count]
        if not enough:
            raise DataError(
                f"no token occurs in the training molecules at least {self.min_count} times "
                "('min_count' of molecule); set it lower, or set 'alphabet'"
            )
        # Of those that are equally frequent the first by code point, on every machine.
        return sorted(enough, key=lambda token: (-counts[token], token))[:_MOST]


def _smiles_of(thing: Any) -> str:
    """Return an item if it is a SMILES that is not empty; raise `DataError` if not."""
    if isinstance(thing, str):
        if thing.strip():
            return without_extension(thing)
        raise DataError("its SMILES is empty; leave the item out, or give a molecule")
    # By their names, so that pandas is not imported for those who do not use it.
    is_nan = isinstance(thing, float) and math.isnan(thing)
    if thing is None or is_nan or type(thing).__name__ in ("NAType", "NaTType"):
        raise DataError(f"its SMILES is missing ({shown(thing)}); leave the item out, or give one")
    advice = "give the text of its SMILES"
    if type(thing).__name__ == "Mol":
        advice = "give its SMILES, as from rdkit.Chem.MolToSmiles"
    elif isinstance(thing, os.PathLike):
        advice = "files are not read as molecules; give the SMILES in it"
    elif isinstance(thing, bytes | bytearray):
        advice = "decode it first, as with .decode('ascii')"
    raise DataError(f"it is {type(thing).__name__} {shown(thing)}, not a SMILES; {advice}")
