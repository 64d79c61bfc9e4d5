"""Known public sets as facts: what they are, who made them, and where their files are from.

Every digest was computed from the bytes at an address, or is published by several independent
users of the file. An address with a commit in it always gives the same bytes.
Archives are different: servers pack them again for every request, so the files in them are
checked, and not their bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class File:
    """A file that is fetched as it is.

    Attributes:
        name: what it is called in the folder of its set.
        addresses: where it is; all give the same bytes, and the first that answers is used.
        size: its length in bytes.
        sha256: the digest of its bytes.
        aliases: other names under which a copy may lie in the folder.
    """

    name: str
    addresses: tuple[str, ...]
    size: int
    sha256: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Archive:
    """A zip file with some wanted files.

    Attributes:
        name: what it is called while it is being fetched.
        addresses: where it is.
        size: about how many bytes it has.
        folder: the folder in it, below its single top folder, that has the files; what is fetched
            gets a folder of that name.
        pattern: a regular expression for the whole name of each wanted file.
        count: how many files are wanted.
        unpacked: about how many bytes they have together.
        algorithm: how each file's digest is made.
        digest: the SHA-256 of the list of all digests: a line `digest  name` for each file, in the
            order of the names, as `sha256sum` or `md5sum` writes it.
    """

    name: str
    addresses: tuple[str, ...]
    size: int
    folder: str
    pattern: str
    count: int
    unpacked: int
    algorithm: Literal["sha256", "md5"]
    digest: str


@dataclass(frozen=True)
class PublicSet:
    """A public set.

    Attributes:
        title: what its makers call it.
        folder: what its folder is called in the folder of all data.
        home: its page.
        licence: its licence, and the source of that if it is not the set itself.
        citation: who made it, and where it was published.
        parts: its files, or the archive that holds them.
    """

    title: str
    folder: str
    home: str
    licence: str
    citation: str
    parts: tuple[File, ...] | Archive

    @property
    def size(self) -> int:
        """About how many bytes are fetched."""
        parts = self.parts
        return parts.size if isinstance(parts, Archive) else sum(part.size for part in parts)


def _at(*folders: str) -> dict[str, tuple[str, ...]]:
    """Return the addresses of the four files of MNIST, or of a set in its form."""
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return {name: tuple(f"{folder}/{name}-ubyte.gz" for folder in folders) for name in names}


def _idx(addresses: dict[str, tuple[str, ...]], *facts: tuple[int, str]) -> tuple[File, ...]:
    return tuple(
        File(f"{name}-ubyte.gz", places, size, digest)
        for (name, places), (size, digest) in zip(addresses.items(), facts, strict=True)
    )


_RAW = "https://raw.githubusercontent.com"

FASHION = PublicSet(
    title="Fashion-MNIST",
    folder="images_fashion_mnist",
    home="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    citation="H. Xiao, K. Rasul and R. Vollgraf: Fashion-MNIST, arXiv:1708.07747 (2017)",
    parts=_idx(
        _at(
            f"{_RAW}/zalandoresearch/fashion-mnist/"
            "b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion"
        ),
        (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
)

MNIST = PublicSet(
    title="MNIST",
    folder="images_mnist",
    home="http://yann.lecun.com/exdb/mnist/",
    licence="CC BY-SA 3.0 (as Keras states)",
    citation="Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Proc. IEEE 86 (1998)",
    parts=_idx(
        _at(
            "https://storage.googleapis.com/cvdf-datasets/mnist",
            "https://ossci-datasets.s3.amazonaws.com/mnist",
        ),
        (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
)

SPOKEN_DIGITS = PublicSet(
    title="the Free Spoken Digit Dataset",
    folder="audio_fsdd",
    home="https://github.com/Jakobovski/free-spoken-digit-dataset",
    licence="CC BY-SA 4.0",
    citation="Z. Jackson and others: Free Spoken Digit Dataset, doi:10.5281/zenodo.1342401",
    parts=Archive(
        name="free-spoken-digit-dataset.zip",
        addresses=(
            "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/"
            "26eb9aaf76e81b692f806f9140c2d2777410d7a1.zip",
        ),
        size=16_600_000,
        folder="recordings",
        pattern=r"[0-9]_[a-z]+_[0-9]+\.wav",
        count=3_000,
        unpacked=21_128_848,
        algorithm="sha256",
        digest="1801eae019c063377d98f831d3f93574f259475df7332bb0e3d1b080fb5e6959",
    ),
)

ESC50 = PublicSet(
    title="ESC-50",
    folder="audio_esc50",
    home="https://github.com/karolpiczak/ESC-50",
    licence="CC BY-NC 3.0",
    citation="K. J. Piczak: ESC, Dataset for Environmental Sound Classification, ACM MM (2015)",
    parts=Archive(
        name="ESC-50.zip",
        addresses=(
            "https://github.com/karolpiczak/ESC-50/archive/"
            "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6.zip",
        ),
        size=645_700_000,
        folder="audio",
        pattern=r"[1-5]-[0-9]+-[A-Z]-[0-9]+\.wav",
        count=2_000,
        unpacked=882_100_000,
        algorithm="md5",
        digest="7dac98ebb302b554321c1ceacd9ab75bb0769516f66d19b4f3a6a6874355c2f2",
    ),
)

SMS = PublicSet(
    title="the SMS Spam Collection",
    folder="text_sms_spam",
    home="https://archive.ics.uci.edu/dataset/228/sms+spam+collection",
    licence="CC BY 4.0 (as UCI states)",
    citation="T. A. Almeida, J. M. Gómez Hidalgo and A. Yamakami, ACM DocEng (2011)",
    parts=(
        File(
            "SMSSpamCollection",
            (
                f"{_RAW}/suvancodes/FraudShield_AI/"
                "dd53826eb0dcc890f370462a953a96683c37719e/data/SMSSpamCollection",
                f"{_RAW}/learn-co-students/"
                "dsc-document-classification-with-naive-bayes-lab-online-ds-pt-051319/"
                "2f98ca443ecd26e1088b369260f1e9782e2e36fc/SMSSpamCollection",
            ),
            477_907,
            "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
            aliases=("SMSSpamCollection.original.tsv", "SMSSpamCollection.tsv"),
        ),
    ),
)

_NEWS = f"{_RAW}/mhjabreel/CharCnn_Keras/555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv"

NEWS = PublicSet(
    title="AG News",
    folder="text_ag_news",
    home="http://www.di.unipi.it/~gulli/AG_corpus_of_news_articles.html",
    licence="non-commercial use (its readme)",
    citation="X. Zhang, J. Zhao and Y. LeCun, NIPS (2015), from A. Gulli's corpus",
    parts=(
        File(
            "test.csv",
            (f"{_NEWS}/test.csv",),
            1_857_427,
            "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
            aliases=("ag_news_test.original.csv",),
        ),
        File(
            "train.csv",
            (f"{_NEWS}/train.csv",),
            29_470_338,
            "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e",
            aliases=("ag_news_train.original.csv",),
        ),
    ),
)

_MOLECULES = (
    f"{_RAW}/GLambard/Molecules_Dataset_Collection/"
    "beb35cd0b76db5adef6cb1fa55807e4cd309aaed/originals"
)
_MOLECULENET = "Z. Wu and others: MoleculeNet, Chemical Science 9 (2018)"

BBBP = PublicSet(
    title="BBBP",
    folder="molecules_bbbp",
    home="https://moleculenet.org/datasets-1",
    licence="not stated (MIT: the collection)",
    citation=f"I. F. Martins and others, J. Chem. Inf. Model. 52 (2012); {_MOLECULENET}",
    parts=(
        File(
            "bbbp.csv",
            (f"{_MOLECULES}/BBBP.csv",),
            148_743,
            "d07a38487aeac5cee5508413e468043ef3097451d2a112701c2d60be9ec6b662",
        ),
    ),
)

TOX21 = PublicSet(
    title="Tox21",
    folder="molecules_tox21",
    home="https://moleculenet.org/datasets-1",
    licence="not stated (MIT: the collection)",
    citation=f"the Tox21 Data Challenge (2014); {_MOLECULENET}",
    parts=(
        File(
            "tox21.csv",
            (f"{_MOLECULES}/tox21.csv",),
            525_119,
            "7d7e7facd853a63e79ddce4e9c3fcb7a0d83a1c300b603031c0f2c64fbe77761",
        ),
    ),
)
