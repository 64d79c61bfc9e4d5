"""The verdict on one-hot grids: sequences of symbols, such as texts, whose rows are an alphabet.

The two axes are judged by measures of their own. Positions are compared by all of their frequent
symbols at once: a space says little about the space that follows, but a q says much about the u.
Association of two positions is Cramer's V, corrected for what chance alone gives (Bergsma, 2013, "A
bias-correction for Cramer's V and Tschuprow's T"). For symbols see `gridcnn.order.alphabet`.

The rule is that of `gridcnn.order.rule`: a score, gradation and a permutation test for neighbours,
and usefulness if there are labels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import Targets
from gridcnn.errors import DataError
from gridcnn.order.alphabet import Floats, beside, judge_alphabet, shows_no_order
from gridcnn.order.judging import Judging, refuse_too_few
from gridcnn.order.lags import by_distance
from gridcnn.order.layouts import FEWEST_POSITIONS, Layout
from gridcnn.order.neighbours import Neighbours
from gridcnn.order.rule import Rule, decide_by, is_clear_by
from gridcnn.order.structure import Structure
from gridcnn.order.usefulness import TRAININGS, Usefulness, usefulness
from gridcnn.order.verdict import AxisVerdict, Decision, Verdict
from gridcnn.order.wording import UNSTEADY, describe_usefulness, summarize_sequence
from gridcnn.streams import Stream

_POSITIONS = 128
"""Positions that are compared, of more the first that are filled: the matrix of their symbols takes
40 MB."""
_SYMBOLS = 24
"""Most frequent symbols, which are distinguished; the others count as one."""
_FILLED = 0.5
"""The part of the items that have a symbol in a position that is compared: with fewer, the ends of
items would look like an order."""
_CHANNELS = 16
"""Symbols that the network of usefulness sees: its time grows with them."""
_ENOUGH = 8
"""Positions from which on the test shows an order beyond doubt: eight have 20,160 orders."""


def judge_one_hot(
    indices: NDArray[np.int32],
    symbols: int,
    targets: Targets | None,
    *,
    names: tuple[str, str] = ("symbol", "position"),
    rows: int,
    judging: Judging,
) -> Verdict:
    """Return the verdict on one-hot grids: on positions, on the alphabet, and on the whole.

    Args:
        indices: `(items, positions)`, the symbol in each position, from 0; -1 for none.
        symbols: how many symbols there are.
        targets: the class of each item, `(items,)`, -1 for none; None: no labels.
        names: what the two axes are called.
        rows: how many items there are in all.
        judging: seed, threads and progress.

    Raises:
        DataError: there are too few items, or hardly any symbols in them.
    """
    items, positions = indices.shape
    refuse_too_few(positions, items)
    filled = np.flatnonzero((indices >= 0).mean(axis=0) >= _FILLED)[:_POSITIONS]
    if len(filled) < 2:
        raise DataError("most items have fewer than 2 symbols, so that there is no order to find")
    codes = _frequent(indices[:, filled], symbols)
    counter = judging.counter("comparing positions and symbols", 2)
    along, unordered, close = _positions(codes, judging.seed)
    counter.add(1)
    alphabet = judge_alphabet(indices, symbols, name=names[0], seed=judging.seed)
    counter.add(1)
    shows_none = unordered and len(filled) >= _ENOUGH

    def rule_with(use: Usefulness | None, *, symbols: Neighbours | None = None) -> Rule:
        return partial(_apply_rule, along, symbols, use, unordered=shows_none)

    def is_enough(use: Usefulness) -> bool:
        return is_clear_by(lambda way, level: rule_with(use.shift(way, level))(0, 0))

    use = None
    # Even if the alphabet makes them grids, positions have a verdict of their own.
    settled = decide_by(rule_with(None)) == ("grid", True)
    if targets is not None and (judging.thorough or not settled):
        use = _usefulness(codes, targets, judging, None if settled else is_enough)
    whole, steady = decide_by(rule_with(use, symbols=alphabet.neighbours))
    decision, _ = decide_by(rule_with(use))
    position = AxisVerdict(names[1], positions, decision, along)
    evidence = [
        f"structure: each of {positions} positions holds one of {symbols} symbols",
        f"axis '{position.name}' ({positions}): {decision}; "
        f"{_describe_neighbours(along, 'position')}",
        f"axis '{alphabet.name}' ({symbols}): {alphabet.decision}; "
        f"{_describe_neighbours(alphabet.neighbours, 'symbol')}",
    ]
    if use is not None:
        evidence.append(f"usefulness: {describe_usefulness(use)}")
    if not steady:
        evidence.append(UNSTEADY)
    if len(filled) < positions:
        evidence.append(f"looked at {len(filled)} of {positions} positions, which most items fill")
    if items < rows:
        evidence.append(f"looked at {items:,} of {rows:,} items, drawn at random")
    return Verdict(
        whole,
        tuple(evidence),
        _advice(whole, position, alphabet, labelled=targets is not None),
        layout=Layout(1, positions) if whole == "grid" else None,
        axes=(alphabet, position),
        structure=Structure({"category": positions}, tuple(range(positions)), (), mixed=False),
        neighbours=() if along is None else (along,),
        lags=by_distance(close, seed=judging.seed),
        usefulness=use,
        rows=rows,
        columns=positions,
        summary=summarize_sequence(whole, use, steady=steady),
        steady=steady,
    )


def _apply_rule(
    along: Neighbours | None,
    symbols: Neighbours | None,
    use: Usefulness | None,
    way: float,
    level: float,
    *,
    unordered: bool,
) -> Decision:
    """Return the decision, if figures were better by `way` and `level` (see `Evidence.shift`).

    `along` is the evidence of positions, `symbols` that of the alphabet; `unordered`: associations
    show that positions have no order.
    """
    near = [each.shift(way) for each in (along, symbols) if each is not None]
    if use is not None:
        use = use.shift(way, level)
    if any(each.is_ordered for each in near) or (use is not None and use.is_useful):
        return "grid"
    return "permutable" if unordered or (use is not None and use.is_telling) else "undecided"


def _frequent(indices: NDArray[np.int32], symbols: int) -> NDArray[np.int64]:
    """Return symbols as ranks by frequency, the rare ones as one; -1 for none."""
    counts = np.bincount(indices[indices >= 0].ravel(), minlength=symbols)
    ranks = np.empty(symbols, np.int64)
    ranks[np.argsort(-counts, kind="stable")] = np.arange(symbols)
    return np.where(indices >= 0, np.minimum(ranks[indices], _SYMBOLS - 1), -1)


def association_of_symbols(codes: NDArray[np.int64]) -> Floats:
    """Return the association of every two positions, `(positions, positions)`; NaN on the diagonal.

    `codes` `(items, positions)` are symbols from 0; items without one (-1) count as a symbol.
    """
    items, positions = codes.shape
    width = int(codes.max()) + 2
    is_symbol = np.zeros((items, positions, width), np.float32)
    np.put_along_axis(is_symbol, (codes + 1)[:, :, None], 1.0, axis=2)
    shares = is_symbol.mean(axis=0)  # (positions, width)
    flat = is_symbol.reshape(items, -1)
    together = (flat.T @ flat / np.float32(items)).reshape(positions, width, positions, width)
    expected = np.multiply.outer(shares, shares)
    parts = np.divide(
        np.square(together), expected, out=np.zeros_like(expected), where=expected > 0
    )
    squares = parts.sum(axis=(1, 3), dtype=np.float64) - 1
    kinds = (shares > 0).sum(axis=1).astype(np.float64)
    # What independent symbols would give is subtracted.
    free = kinds - 1
    squares = np.maximum(squares - np.outer(free, free) / (items - 1), 0)
    fewer = free - free**2 / (items - 1)
    least = np.maximum(np.minimum.outer(fewer, fewer), 1e-9)
    associations: Floats = np.sqrt((squares / least).clip(0, 1))
    associations[kinds < 2] = np.nan
    associations[:, kinds < 2] = np.nan
    np.fill_diagonal(associations, np.nan)
    return associations


def _positions(
    codes: NDArray[np.int64], seed: int
) -> tuple[Neighbours | None, bool, NDArray[np.float32]]:
    """Return the evidence of positions, whether it shows no order, and the associations."""
    random = Stream.CHECK_SEQUENCES.random(seed)
    close = association_of_symbols(codes)
    usable = np.flatnonzero(~np.isnan(close).all(axis=1))
    if len(usable) < FEWEST_POSITIONS:
        return None, False, close.astype(np.float32)
    # The best are chosen by one half of the items, and judged by the other.
    halves = [association_of_symbols(codes[start::2]) for start in (0, 1)]
    others = np.stack([random.permutation(column) for column in codes.T], axis=1)
    noise = [association_of_symbols(others[start::2]) for start in (0, 1)]
    near = beside(close, usable, random, halves=halves)
    in_noise = beside(association_of_symbols(others), usable, random, halves=noise)
    return near, shows_no_order(near, in_noise), close.astype(np.float32)


def _usefulness(
    codes: NDArray[np.int64],
    targets: Targets,
    judging: Judging,
    is_enough: Callable[[Usefulness], bool] | None,
) -> Usefulness | None:
    known = np.flatnonzero(targets >= 0)
    # One-hot; 2 becomes 1, since the network's inputs are halved.
    values = 2.0 * (codes[known][:, :, None] == np.arange(_CHANNELS))
    return usefulness(
        values.astype(np.float32),
        targets[known],
        Layout(1, codes.shape[1]),
        seed=judging.seed,
        threads=judging.threads,
        is_enough=is_enough,
        advance=judging.counter("training on shuffles", TRAININGS).add,
    )


_COUNT = (
    "a network that slides over the positions is the wrong tool here; count the symbols, for "
    "example:\n"
    "from sklearn import feature_extraction as features, linear_model, pipeline\n"
    "pipeline.make_pipeline(features.text.CountVectorizer(analyzer='char'), "
    "linear_model.LogisticRegression()).fit(X, y)"
)


def _describe_neighbours(near: Neighbours | None, what: str) -> str:
    if near is None:
        return "too short to tell"
    measure = "are associated by" if what == "position" else "follow each other by"
    sentence = (
        f"{what}s beside each other {measure} {near.explained:.3f}, any two by "
        f"{near.by_chance:.3f}, the closest ones by {near.best:.3f} (score {near.score:.2f} of 1); "
        f"{near.gradation:.0%} are closer to both neighbours than to the next but one"
    )
    if near.p_value is None:
        return sentence
    return f"{sentence}; p = {near.p_value:.2g} by {near.orders:,} random orders"


def _advice(
    whole: Decision, position: AxisVerdict, alphabet: AxisVerdict, *, labelled: bool
) -> tuple[str, ...]:
    if whole == "permutable":
        return (_COUNT,)
    if whole == "undecided":
        more = "" if labelled else "; with labels, it can be measured whether the order is useful"
        return (f"the evidence is too weak: more items, or longer ones, are needed{more}",)
    sentences = []
    if alphabet.decision == "permutable":
        sentences.append(
            f"the order along '{alphabet.name}' means nothing; let features cover it whole: "
            "kernel_size: [all, 3]"
        )
    if position.decision == "permutable":
        sentences.append(
            f"the order along '{position.name}' means nothing; let features cover it whole: "
            "kernel_size: [3, all]"
        )
    return tuple(sentences)
