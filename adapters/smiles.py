"""SMILES: the tokens of a molecule's text, and what is wrong with its grammar.

The grammar is that of OpenSMILES (Craig James et al., opensmiles.org). What other programs write
besides is read too: a ring number after a branch, `%(123)`, aromatic `si` and `te`, the dative
bonds `->` and `<-`, and two backslashes in place of one. Chemistry is not checked here, such as
that carbon has four bonds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gridcnn.errors import DataError, how_many, quoted

_ELEMENTS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As "
    "Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd "
    "Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am "
    "Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
)
ELEMENTS = frozenset(_ELEMENTS.split())
"""The symbols of the 118 elements."""
AROMATIC = frozenset(("b", "c", "n", "o", "p", "s", "as", "se", "si", "te"))
"""The symbols of aromatic atoms in brackets."""

_MOST = 4  # problems of one text that are listed one by one
_ISOTOPE = r"[0-9]{1,4}"
_SYMBOL = "|".join(sorted(ELEMENTS | AROMATIC, key=lambda symbol: (-len(symbol), symbol))) + r"|\*"
_CHIRALITY = "@(?:@|TH[12]|AL[12]|SP[1-3]|TB(?:1[0-9]|20|[1-9])|OH(?:[12][0-9]|30|[1-9]))?"
_HYDROGENS = "H[0-9]?"
_CHARGE = r"\+\+|--|[+-][0-9]{0,2}"
_CLASS = ":[0-9]{1,9}"
_PARTS = (_ISOTOPE, _SYMBOL, _CHIRALITY, _HYDROGENS, _CHARGE, _CLASS)
_INSIDE = re.compile("({})?({})({})?({})?({})?({})?".format(*_PARTS))
_PART = re.compile("|".join(_PARTS))
_ATOM = "Br|Cl|[BCNOPSFIbcnops*]"
_TOKEN = re.compile(
    rf"(?P<atom>{_ATOM})"
    r"|(?P<bracket>\[[^][]*\])"
    r"|(?P<ring>%\([0-9]{1,5}\)|%[0-9]{2}|[0-9])"
    r"|(?P<bond>->|<-|\\{1,2}|[-=#$:/])"
    r"|(?P<opening>\()|(?P<closing>\))|(?P<dot>\.)"
)
_DOUBLED = "\\\\"
"""A backslash as the text of a program writes it; RDKit reads it, too, as one."""
_EXTENSION = re.compile(r"\s*(\S+)\s+(\|.*\|)(?:\s.*)?", re.DOTALL)
_HYDROGEN = {"D": "[2H]", "T": "[3H]"}
# Marks of the direction of a single bond, beside a double bond.
_SINGLE = {"/": "-", "\\": "-"}


@dataclass(frozen=True)
class Token:
    """One token of a SMILES.

    Attributes:
        kind: "atom", "bracket" (an atom in brackets), "ring", "bond", "opening", "closing", "dot".
        text: how it is written.
        column: where it begins in the text, from 1.
    """

    kind: str
    text: str
    column: int

    @property
    def is_atom(self) -> bool:
        """Whether it is an atom, with or without brackets."""
        return self.kind in ("atom", "bracket")

    def parts(self) -> list[str]:
        """Return an atom in brackets as `[`, isotope, symbol, chirality, ..., `]`; others whole."""
        if self.kind != "bracket":
            return [self.text]
        inside = _INSIDE.fullmatch(self.text[1:-1])
        assert inside is not None
        return ["[", *(part for part in inside.groups() if part), "]"]


def tokens(text: str) -> list[Token]:
    """Return the tokens of a SMILES; none for an empty text. Spaces around it are ignored.

    Raises:
        DataError: it breaks the grammar; each problem has its place in the text.
    """
    problems = _Found()
    read = list(_scan(text, problems))
    problems.stop()
    _Structure(problems).check(read)
    problems.stop()
    return read


def has_doubled_backslashes(text: str) -> bool:
    """Return whether a SMILES has two backslashes in a row, as the text of a program has them."""
    return _DOUBLED in text


def without_extension(text: str) -> str:
    """Return a SMILES without what CXSMILES has after it: `CCO |$;;$| ethanol` becomes `CCO`."""
    match = _EXTENSION.fullmatch(text) if "|" in text else None
    return text if match is None else match[1]


def is_token(text: str, *, whole: bool) -> bool:
    """Return whether a text is one token; with `whole`, an atom in brackets is one token."""
    if not whole and (text in ("[", "]") or _PART.fullmatch(text)):
        return True
    if text == _DOUBLED:
        return False
    match = _TOKEN.fullmatch(text)
    if match is None or match.lastgroup != "bracket":
        return match is not None
    return whole and _INSIDE.fullmatch(text[1:-1]) is not None


class _Found:
    """Problems of one text, in the order of their places."""

    def __init__(self) -> None:
        self._problems: list[tuple[int, str]] = []

    def add(self, column: int, text: str, message: str) -> None:
        said = f"character {column} of its SMILES, {quoted(text, limit=20)}, {message}"
        self._problems.append((column, said))

    def stop(self) -> None:
        """Raise `DataError` if there is any problem."""
        messages = [message for _, message in sorted(self._problems)]
        if len(messages) > _MOST:
            rest = how_many(len(messages) - _MOST, "more problem")
            more = f"its SMILES has {rest} like these"
            messages = [*messages[:_MOST], more]
        if messages:
            raise DataError(*messages)


# Tokens -----------------------------------------------------------------------------------------


def _scan(text: str, problems: _Found) -> Iterator[Token]:
    place = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place, end)
        if match is None:
            place = _skip(text, place, end, problems)
            continue
        kind, written = str(match.lastgroup), match[0]
        if kind == "bracket":
            _check_bracket(written, place, problems)
        yield Token(kind, "\\" if written == _DOUBLED else written, place + 1)
        place = match.end()


def _skip(text: str, place: int, end: int, found: _Found) -> int:
    """Add the problem at a place without a token, and return where to continue."""
    sign = text[place]
    if sign == "[":
        found.add(place + 1, sign, "has no closing ']'")
        following = text.find("[", place + 1, end)
        return end if following < 0 else following
    if sign.isspace():
        found.add(place + 1, sign, "is a space, but a SMILES has none; leave out what follows it")
        return end
    if sign == "]":
        found.add(place + 1, sign, "closes no '['")
    elif sign == "%":
        wanted = "two digits, as %12, or a number in parentheses, as %(123)"
        found.add(place + 1, sign, f"is not a ring number; it needs {wanted}")
    else:
        found.add(place + 1, sign, f"is not an atom, bond or ring number{_advice(text, place)}")
    return place + 1


def _advice(text: str, place: int) -> str:
    """Return the correction of an atom that needs brackets, or another case."""
    if text[place] in _HYDROGEN:
        return f"; write {_HYDROGEN[text[place]]}"
    for first in (place - 1, place):
        for last in (first + 2, first + 1):
            symbol = text[max(first, 0) : last]
            if first <= place < last and symbol in ELEMENTS | AROMATIC:
                return f"; this atom needs brackets: [{symbol}]"
    if text[max(place - 1, 0) : place + 1] in ("CL", "BR"):
        return f"; write {text[place - 1 : place + 1].title()}"
    return "; allowed without brackets are B, C, N, O, P, S, F, Cl, Br, I, b, c, n, o, p, s and *"


def _check_bracket(written: str, place: int, found: _Found) -> None:
    """Add the problems of an atom in brackets, which start at `place`."""
    inside = written[1:-1]
    match = _INSIDE.match(inside)
    if match is None:
        isotope = re.match("[0-9]*", inside)
        start = isotope.end() if isotope else 0
        name = re.match("[A-Za-z]+", inside[start:])
        if name is None:
            found.add(place + 1, written, "names no element")
            return
        hint = _HYDROGEN.get(name[0], "")
        advice = f"; write {hint}" if hint else "; an atom of any kind is [*]"
        found.add(place + 2 + start, name[0], f"is not an element{advice}")
        return
    rest = inside[match.end() :]
    if not rest:
        return
    # A charge may have been read in part: of '+++' two signs.
    start = match.start(5) if match[5] and not match[6] else match.end()
    wrong = re.match("[+-][+0-9-]*", inside[start:])
    if wrong is not None and start + wrong.end() > match.end():
        found.add(place + 2 + start, wrong[0], "is not a charge; write +, -, ++, -- or, say, +3")
        return
    found.add(
        place + 2 + match.end(),
        rest,
        f"is not allowed there in {quoted(written, limit=20)}; brackets hold isotope, one "
        "element, chirality, hydrogens, charge and class, in this order, as [13C@@H2+:1]",
    )


# How tokens follow each other -------------------------------------------------------------------


@dataclass
class _Structure:
    """Follows the bonds of a SMILES, and finds those that lead nowhere."""

    found: _Found
    atoms: int = 0
    atom: int | None = None  # the one that the next is bonded to
    bond: Token | None = None  # that waits for its second atom
    dot: Token | None = None  # that waits for a molecule
    fresh: bool = False  # a branch has been opened, and has no atom yet
    branches: list[tuple[int, Token]] = field(default_factory=list)
    rings: dict[int, tuple[int, Token | None, Token]] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)  # ring numbers of which a problem is told already
    joined: set[tuple[int, int]] = field(default_factory=set)

    def check(self, read: list[Token]) -> None:
        """Find all problems of the tokens of one text."""
        for token in read:
            if token.is_atom:
                self._add()
            else:
                getattr(self, f"_{token.kind}")(token)
        self._drop_bond()
        self._drop_dot()
        for _, token in self.branches:
            self.found.add(token.column, "(", "has no closing ')'")
        for number, (_, _, token) in self.rings.items():
            if number not in self.lost:
                message = f"opens ring {number}, which is never closed"
                self.found.add(token.column, token.text, message)

    def _add(self) -> None:
        if self.atom is not None:
            self.joined.add((self.atom, self.atoms))
        self.atom = self.atoms
        self.atoms += 1
        self.bond = self.dot = None
        self.fresh = False

    def _bond(self, token: Token) -> None:
        self._drop_bond()
        if self.atom is None:
            self.found.add(token.column, token.text, "is a bond without an atom before it")
        else:
            self.bond = token

    def _dot(self, token: Token) -> None:
        self._drop_bond()
        if self.atom is None:
            self.found.add(token.column, ".", "follows no atom")
        # A branch may begin with a dot.
        self.atom, self.dot, self.fresh = None, token, False

    def _opening(self, token: Token) -> None:
        self._drop_bond()
        if self.atom is None:
            self.found.add(token.column, "(", "opens a branch without an atom before it")
        elif self.fresh:
            self.found.add(token.column, "(", "opens a branch of a branch that has no atom yet")
        self.branches.append((-1 if self.atom is None else self.atom, token))
        self.fresh = True

    def _closing(self, token: Token) -> None:
        self._drop_bond()
        self._drop_dot()
        if not self.branches:
            self.found.add(token.column, ")", "closes no '('")
            return
        atom, opening = self.branches.pop()
        if self.fresh:
            self.found.add(opening.column, "(", "opens a branch without an atom")
        self.atom = atom if atom >= 0 else None
        self.fresh = False

    def _ring(self, token: Token) -> None:
        bond, self.bond = self.bond, None
        number = int(token.text.strip("%()"))
        if self.atom is None or self.fresh:
            self.found.add(token.column, token.text, "is a ring number without an atom before it")
            self.lost.add(number)
            self.fresh = False
            return
        if number not in self.rings:
            self.rings[number] = self.atom, bond, token
            return
        other, its_bond, opening = self.rings.pop(number)
        ends = other, self.atom
        where = f"closes ring {number} of character {opening.column}, but"
        if other == self.atom:
            self.found.add(token.column, token.text, f"{where} both ends are at the same atom")
        elif ends in self.joined or ends[::-1] in self.joined:
            self.found.add(token.column, token.text, f"{where} their atoms are bonded already")
        elif bond and its_bond and _order(bond) != _order(its_bond):
            message = f"{where} its bonds differ: '{its_bond.text}' there, '{bond.text}' here"
            self.found.add(token.column, token.text, message)
        self.joined.add(ends)

    def _drop_bond(self) -> None:
        if self.bond is not None:
            self.found.add(self.bond.column, self.bond.text, "is a bond without an atom after it")
            self.fresh = False  # and a branch without an atom is no further problem
        self.bond = None

    def _drop_dot(self) -> None:
        if self.dot is not None:
            self.found.add(self.dot.column, ".", "has no atom after it")
        self.dot = None


def _order(bond: Token) -> str:
    # A dative bond has a direction, which is the other way round at its other end.
    return "->" if bond.text == "<-" else _SINGLE.get(bond.text, bond.text)
