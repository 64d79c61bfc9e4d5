from typing import Any

import numpy as np
import pytest

from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.xo import XO
from gridcnn.errors import SpecError

DIFFICULTIES = (
    "shift",
    "shrink",
    "rotation",
    "slant",
    "aspect",
    "unevenness",
    "curvature",
    "deformation",
    "opening",
    "gaps",
    "stroke_spread",
    "pressure",
    "softness",
    "contrast",
    "noise",
)
CLEAN: dict[str, Any] = dict.fromkeys(DIFFICULTIES, 0.0)


def drawn(seed: int = 0, **settings: Any) -> Any:
    return XO(**settings).pictures(seed)


def test_every_difficulty_is_a_setting_that_may_be_zero() -> None:
    others = {"count", "size", "seed", "stroke_width", "inverted"}

    assert set(XO.setting_names()) == set(CLEAN) | others


def test_without_difficulties_all_pictures_of_a_class_are_one_clean_centred_sign() -> None:
    pictures = drawn(count=6, **CLEAN)

    for sign in (pictures[0::2], pictures[1::2]):
        assert set(np.unique(sign)) == {0, 255}
        assert (sign == sign[0]).all()
        assert (sign[0] == sign[0][::-1]).all()
        assert (sign[0] == sign[0][:, ::-1]).all()


def test_a_clean_x_crosses_in_the_middle_and_a_clean_o_is_empty_there() -> None:
    x, o = drawn(count=2, **CLEAN)

    assert x[15:17, 15:17].min() == 255
    assert o[10:22, 10:22].max() == 0
    assert o[15].max() == 255


def test_classes_take_turns_so_that_any_count_is_balanced() -> None:
    dataset = XO(count=7).open(Request())

    assert list(dataset.labels) == ["X", "O", "X", "O", "X", "O", "X"]
    assert dataset.classes == ("O", "X")
    assert dataset.names[6] == "item 6"
    assert dataset.things[0].dtype == np.uint8
    assert dataset.things[0].shape == (32, 32)


def test_the_seed_fixes_the_pictures() -> None:
    assert (drawn(count=50, seed=1) == drawn(count=50, seed=1)).all()
    assert (drawn(count=50, seed=1) != drawn(count=50, seed=2)).any()


def test_the_own_seed_goes_before_the_seed_of_the_run() -> None:
    own = XO(count=4, seed=3)

    assert (own.open(Request(seed=9)).things[0] == drawn(3, count=4)[0]).all()
    assert (XO(count=4).open(Request(seed=9)).things[0] == drawn(9, count=4)[0]).all()


@pytest.mark.parametrize("size", [(32, 32), (9, 40), (200, 150)])
def test_a_smaller_set_is_the_beginning_of_a_larger_one(size: tuple[int, int]) -> None:
    assert (drawn(count=33, size=size) == drawn(count=150, size=size)[:33]).all()


def test_no_two_pictures_are_the_same() -> None:
    pictures = drawn(count=2_000)

    assert len({picture.tobytes() for picture in pictures}) == 2_000


@pytest.mark.parametrize("name", sorted(CLEAN))
def test_each_difficulty_changes_the_pictures(name: str) -> None:
    default = XO.model_fields[name].default

    assert (drawn(count=40, **CLEAN | {name: default}) != drawn(count=40, **CLEAN)).any()


@pytest.mark.parametrize("name", sorted(CLEAN))
def test_at_its_highest_a_difficulty_still_draws_something(name: str) -> None:
    field = XO.model_fields[name]
    highest: Any = min(limit.le for limit in field.metadata if hasattr(limit, "le"))

    pictures = drawn(count=40, **CLEAN | {name: float(highest)})

    assert (np.ptp(pictures, axis=(1, 2)) > 0).all()


@pytest.mark.parametrize("size", [(5, 5), (5, 64), (64, 5), (11, 13), (128, 96)])
def test_pictures_of_any_size_are_drawn(size: tuple[int, int]) -> None:
    pictures = drawn(count=20, size=size)

    assert pictures.shape == (20, *size)
    assert (pictures.max(axis=(1, 2)) > 100).all()


def test_a_shift_never_cuts_a_sign() -> None:
    """The same signs have as much ink in the middle as anywhere else."""
    settings = CLEAN | {"shrink": 0.5, "rotation": 30.0, "aspect": 0.5, "size": (48, 48)}

    middle = drawn(count=200, **settings).sum(axis=(1, 2), dtype=float)
    anywhere = drawn(count=200, **settings | {"shift": 1.0}).sum(axis=(1, 2), dtype=float)

    assert np.abs(anywhere / middle - 1).max() < 0.1


def test_an_x_is_full_where_an_o_is_hollow() -> None:
    """In the middle of its ink, that is."""
    pictures = drawn(count=400, gaps=0.0, noise=0.0, contrast=0.0, shift=0.0).astype(float) / 255
    rows, columns = np.mgrid[0:32, 0:32]

    def middle(picture: Any) -> Any:
        weight = picture / picture.sum()
        y, x = round((weight * rows).sum()), round((weight * columns).sum())
        return picture[y - 1 : y + 2, x - 1 : x + 2].mean()

    fullness = np.array([middle(picture) for picture in pictures])

    assert np.median(fullness[0::2]) > 0.6
    assert np.median(fullness[1::2]) < 0.05


def test_more_cells_than_fit_are_refused() -> None:
    with pytest.raises(SpecError, match="lower 'count' or 'size'"):
        XO(count=1_000_000_000)


def test_a_png_file_holds_the_same_picture() -> None:
    import io

    from PIL import Image

    source = XO(count=2)
    picture = source.pictures(0)[1]

    opened = np.asarray(Image.open(io.BytesIO(source.encode_item(picture))))

    assert (opened == picture).all()
    assert opened.dtype == np.uint8


def test_the_facts_are_those_of_the_opened_data() -> None:
    source = XO(count=10, size=(20, 24))
    dataset = source.open(Request())

    facts = source.facts()

    assert (facts.items, facts.classes, facts.shape) == (10, dataset.classes, (20, 24))
