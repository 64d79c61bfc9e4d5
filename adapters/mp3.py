"""MP3 files: a part of one as a small file of its own, which decodes to the samples of the whole.

    whole   | tag | 0 | 1 | 2 | ... | 96 | 97 | 98 | 99 | 100 | 101 | ... | 500 | 501 | ...
    part    | tag |                 | 96 | 97 | 98 | 99 | 100 | 101 | ... | 500 |
                                      `-- muted --'  `-- warm --'   `-- wanted --'

A frame borrows bits from those before it, and adds what it decodes to what they have left. So some
are decoded ahead: *muted* ones, which give their bytes to others and are silent themselves, since
bits of theirs may be missing; and *warm* ones, after which nothing is left of the silence.

The layout is that of ISO 11172-3 and 13818-3, the tag that of Xing and LAME.
"""

from __future__ import annotations

import os
import struct
from itertools import pairwise
from typing import IO, NamedTuple

# In thousand bits a second, by the number in the header; 0 is a free choice, and not read here.
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_MPEG_1 = 3
_SAME = 0xFFFF0C00
"""The bits of a header that are the same in all frames: version, layer, no checksum, and rate."""
_MONO = 0xC0
_DELAY = 529
"""Samples by which every decoder is late, and which it leaves out at the start: an encoder's tag
does not count them."""
_WARM = 4
"""Frames that are decoded ahead: each is added to the one before, and a filter reaches back by 480
samples, which is almost another one of 576."""
_CYCLE = 4
"""Decoders add up in an order that returns after so many frames. Both have to be in step, or sums
are rounded otherwise. libmpg123 decodes once more what an encoder's delay covers, if that is whole
frames."""

_LONGEST = 1441
"""The largest number of bytes of a frame: at 320 thousand bits a second and 32 kHz, or at 160 and 8
kHz."""
_BLOCK = 2**16
"""Bytes that are read at a time: from these the C library takes memory that is there already. What
holds a whole file is taken from the system, which clears it first, and that takes longer."""


class _Head(NamedTuple):
    """What the header of a frame says.

    Attributes:
        length: bytes of the frame.
        side: bytes of the side information, which tells what belongs to whom.
        samples: samples of each channel.
        borrowed: bytes that may be borrowed, at most.
    """

    length: int
    side: int
    samples: int
    borrowed: int


class Part(NamedTuple):
    """A part of an MP3 file.

    Attributes:
        content: an MP3 file.
        frames: how many samples of each channel a decoder finds in it.
        skipped: how many of these, at its start, do not belong to the part.
    """

    content: bytes
    frames: int
    skipped: int


def part_of(file: IO[bytes], *, frames: int, start: int, stop: int) -> Part | None:
    """Return a part of an MP3 file; None if that is not of the usual kind, or is damaged.

    Args:
        file: the file, which can seek; it is read up to the end of the part.
        frames: how many samples of each channel a decoder finds in the whole.
        start: the first of them that is wanted.
        stop: the one after the last.
    """
    try:
        return _part(file, frames, start, stop)
    except (IndexError, struct.error):
        return None


def _part(file: IO[bytes], frames: int, start: int, stop: int) -> Part | None:
    place = _after_titles(file)
    first_frame = _bytes_at(file, place, _LONGEST)
    first = first_frame[:4]
    head = _head(first)
    if head is None:
        return None
    tag = _tag(first_frame, head)
    if tag is None or tag[0] * head.samples - tag[1] - tag[2] != frames:
        return None
    late = tag[1]
    wanted = (start + late) // head.samples
    places = _places(file, place + head.length, first, -(-(stop + late) // head.samples))
    if places is None:
        return None
    warm = max(0, wanted - _WARM)
    muted, bytes_before = warm, 0
    while muted and bytes_before < head.borrowed:
        muted -= 1
        bytes_before += places[muted + 1] - places[muted] - 4 - head.side
    muted = max(0, muted - (muted + late // head.samples) % _CYCLE)
    count = len(places) - 1 - muted
    begin = places[muted]
    content = _bytes_at(file, begin, places[-1] - begin)
    if len(content) < places[-1] - begin:
        return None
    pieces = [_written_tag(first, count)]
    if muted:  # else nothing is missing
        there = 0
        for at, end in pairwise(place - begin for place in places[muted : warm + 1]):
            pieces.append(_silent(content[at:end], head, there))
            there += end - at - 4 - head.side
    pieces.append(content[places[warm] - begin :] if muted else content)
    skipped = start + late - muted * head.samples - _DELAY
    return Part(b"".join(pieces), count * head.samples - _DELAY, skipped)


def _bytes_at(file: IO[bytes], place: int, count: int) -> bytes:
    """Return so many bytes of a file; fewer if it ends before."""
    file.seek(place)
    return file.read(count)


def _after_titles(file: IO[bytes]) -> int:
    """Return where the first frame is: after ID3 tags, which hold titles and pictures."""
    place = 0
    while (title := _bytes_at(file, place, 10))[:3] == b"ID3":
        flags = title[5]
        length = 0
        for byte in title[6:]:
            length = length << 7 | byte & 0x7F
        place += 10 + length + (10 if flags & 0x10 else 0)
    return place


def _head(header: bytes) -> _Head | None:
    """Return what a header says; None: it is not the header of an MP3 frame without a checksum."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE7 != 0xE3:
        return None
    version, bits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version not in _RATES or rate == 3 or bits in (0, 15):
        return None
    is_1, is_mono = version == _MPEG_1, header[3] & _MONO == _MONO
    kbits = (_KBITS_1 if is_1 else _KBITS_2)[bits]
    samples = 1152 if is_1 else 576
    length = samples * 125 * kbits // _RATES[version][rate] + (header[2] >> 1 & 1)
    side = (17 if is_mono else 32) if is_1 else (9 if is_mono else 17)
    return _Head(length, side, samples, 511 if is_1 else 255)


def _tag(content: bytes, head: _Head) -> tuple[int, int, int] | None:
    """Return how many frames there are, and how many samples at both ends are none of the sound.

    `content` begins with the first frame. None: that does not tell.
    """
    at = 4 + head.side
    if content[at : at + 4] not in (b"Xing", b"Info"):
        return None
    (flags,) = struct.unpack_from(">I", content, at + 4)
    if not flags & 1:
        return None
    (count,) = struct.unpack_from(">I", content, at + 8)
    at += 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if at + 24 > head.length or not any(content[at : at + 9]):
        return count, _DELAY, 0
    both = int.from_bytes(content[at + 21 : at + 24], "big")
    return count, (both >> 12) + _DELAY, max(0, (both & 0xFFF) - _DELAY)


def _places(file: IO[bytes], place: int, first: bytes, count: int) -> list[int] | None:
    """Return where so many frames begin, and the last one ends; None if one is not as the first."""
    lengths: dict[bytes, int] = {}
    places = [place]
    alike = _kind(first)
    while len(places) <= count:
        start = places[-1]
        block = _bytes_at(file, start, _BLOCK)
        at, last = 0, len(block) - 4
        if last < 0:
            return None
        # Most of the time is spent in this loop, so it does not look whether there are enough.
        while at <= last:
            # The fourth byte tells how channels are coded, which changes from frame to frame.
            header = block[at : at + 4]
            length = lengths.get(header)
            if length is None:
                head = _head(header)
                if head is None or _kind(header) != alike:
                    break
                length = lengths[header] = head.length
            at += length
            places.append(start + at)
        else:
            continue
        if len(places) <= count:
            return None
    del places[count + 1 :]
    return places if places[-1] <= file.seek(0, os.SEEK_END) else None


def _kind(header: bytes) -> tuple[int, bool]:
    """Return what is the same in all frames of a file."""
    return int.from_bytes(header, "big") & _SAME, header[3] & _MONO == _MONO


def _silent(frame: bytes, head: _Head, there: int) -> bytes:
    """Return a frame that gives its bytes to others, and has no sound of its own.

    Of its side information only the first number is left: how many bytes it borrows, so that
    decoders keep them for the next one; no more than are `there`.
    """
    if head.borrowed == 511:  # a number of nine bits
        borrowed = min(frame[4] << 1 | frame[5] >> 7, there)
        side = bytes([borrowed >> 1, (borrowed & 1) << 7])
    else:
        side = bytes([min(frame[4], there)])
    return frame[:4] + side.ljust(head.side, b"\0") + frame[4 + head.side :]


def _written_tag(first: bytes, count: int) -> bytes:
    """Return a first frame that tells how many follow, and of what kind they are."""
    # Large enough for the tag, at any rate; padding does not matter.
    header = bytes([first[0], first[1], first[2] & 0x0D | 0x90, first[3]])
    head = _head(header)
    assert head is not None
    tag = header + bytes(head.side) + b"Info" + struct.pack(">II", 1, count)
    return tag.ljust(head.length, b"\0")
