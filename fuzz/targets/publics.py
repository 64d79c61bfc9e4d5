"""Files of public data sets in a folder of the user, which nobody has checked."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path

from fuzz import bundle
from fuzz.changes import Changes
from fuzz.sealed import gzip_changed, text_changed
from fuzz.target import Target, refused
from fuzz.targets.tables import check
from gridcnn.contracts.source import Request
from gridcnn.datasets.public.clips import Esc50, SpokenDigits
from gridcnn.datasets.public.compounds import Bbbp, Tox21
from gridcnn.datasets.public.fashion import Fashion
from gridcnn.datasets.public.messages import News, Sms
from gridcnn.datasets.public.source import Public
from gridcnn.errors import DataError

_SETS: tuple[type[Public], ...] = (Sms, News, Bbbp, Tox21, SpokenDigits, Esc50, Fashion)
_LINES = {
    "SMSSpamCollection": "ham\tHello\nspam\tWin \u00a3100 now\nham\tso\n",
    "test.csv": '"3","A title","Some text, \\"so\\""\n"1","B","c"\n',
    "bbbp.csv": "num,name,p_np,smiles\n1,Propanol,1,CCO\n2,b,0,c1ccccc1\n",
    "tox21.csv": "NR-AR,mol_id,smiles\n0,TOX1,CCO\n1,TOX2,CC\n,TOX3,C\n",
}


def _seeds() -> Sequence[bytes]:
    digits = {f"recordings/{digit}_ann_{n}.wav": b"x" for digit in (0, 1) for n in (0, 7)}
    clips = {f"audio/{fold}-100-A-{kind}.wav": b"x" for fold in (1, 2, 5) for kind in (0, 1)}
    images = b"\0\0\x08\3" + struct.pack(">3I", 4, 2, 2) + bytes(16)
    labels = b"\0\0\x08\1" + struct.pack(">I", 4) + b"\0\1\0\1"
    pairs = {
        f"{part}-{kind}-ubyte.gz": gzip.compress(content, mtime=0)
        for part in ("train", "t10k")
        for kind, content in (("images-idx3", images), ("labels-idx1", labels))
    }
    texts = [bundle.packed({name: text.encode()}) for name, text in _LINES.items()]
    return [*texts, *map(bundle.packed, (digits, clips, pairs))]


def _read(content: bytes, folder: Path) -> None:
    for name, inside in bundle.parts_of(content).items():
        *above, own = [step for step in name.split("/") if step not in ("", ".", "..")][-2:] or [""]
        path = folder.joinpath(*above, own)
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(inside)
        except (OSError, ValueError):
            continue
    places = [folder, *(each for each in folder.iterdir() if each.is_dir())]
    for kind in _SETS:
        for place in places[:3]:
            with refused(DataError):
                check(kind(path=str(place)).open(Request()))


def _inside(name: str, content: bytes, changes: Changes) -> bytes:
    if name.endswith(".gz"):
        return gzip_changed(content, changes, lambda inside, more: more.raw(inside))
    return text_changed(content, changes)


def _renamed(name: str, changes: Changes) -> str:
    return changes.random.choice((changes.text(name), *_LINES, name.replace("1", "2")))


TARGETS = (
    Target(
        "public",
        "files of public data sets",
        _seeds,
        _read,
        lambda content, changes: bundle.changed(content, changes, _inside, names=_renamed),
    ),
)
