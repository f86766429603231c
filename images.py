"""Picture files: what a file really is, how large, and the same without what it tells of where and how it was taken.

JPEG, PNG, GIF and WebP are read by their own structure, after their specifications (JFIF and ISO 10918-1, PNG, GIF89a,
RIFF of WebP): parts that hold the picture are kept, all else is left out. The picture itself is not touched.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from errors import InvalidInput

JPEG, PNG, GIF, WEBP = "image/jpeg", "image/png", "image/gif", "image/webp"

# Frame headers of a JPEG: all but those that define tables (DHT, JPG, DAC).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# 00: an FF of the scan itself; D0 to D7: marks within it. More FF before it fill up, and are not matched: a file of
# nothing else would be gone through again from each of them.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_PNG_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP sBIT bKGD hIST pHYs sPLT acTL fcTL fdAT".split()
)
_GIF_KEPT = (b"NETSCAPE2.0", b"ANIMEXTS1.0")  # how often it is repeated
_WEBP_DROPPED = (b"EXIF", b"XMP ")
_WEBP_TOLD = 0x08 | 0x04  # of the flags in VP8X: there is EXIF, there is XMP


@dataclass(frozen=True)
class Image:
    """``stripped``: there was something besides the picture, and it has been left out of ``body``."""

    media_type: str
    width: int
    height: int
    body: bytes
    stripped: bool


def read(data: bytes) -> Image:
    """Raises ``InvalidInput`` for what is no picture of these kinds, or a damaged one."""
    try:
        if data.startswith(b"\xff\xd8\xff"):
            media_type, (width, height, body) = JPEG, _jpeg(data)
        elif data.startswith(b"\x89PNG\r\n\x1a\n"):
            media_type, (width, height, body) = PNG, _png(data)
        elif data.startswith((b"GIF87a", b"GIF89a")):
            media_type, (width, height, body) = GIF, _gif(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            media_type, (width, height, body) = WEBP, _webp(data)
        else:
            raise InvalidInput("This is no JPEG, PNG, GIF or WebP picture.", {"picture": "choose another file"})
        if not width or not height:
            raise ValueError
    except (IndexError, ValueError, struct.error):
        raise InvalidInput("The picture is damaged: it cannot be read.", {"picture": "choose another file"}) from None
    return Image(media_type, width, height, body, stripped=body != data)


def _jpeg(data: bytes) -> tuple[int, int, bytes]:
    kept, size, turned, position, marker = [data[:2]], (0, 0), 1, 2, 0
    while True:
        found = _MARKER.search(data, position)
        if found is None or (marker != 0xDA and data[position : found.start()].strip(b"\xff")):
            raise ValueError
        kept.append(data[position : found.start()])  # behind the head of a scan, the scan itself
        marker, position = found[0][-1], found.end()
        if marker == 0xD9:
            break  # what some cameras put behind it, a second picture or a film, has its own story to tell
        (length,) = struct.unpack_from(">H", data, position)
        segment = data[position : position + length]
        if len(segment) != length or length < 2:
            raise ValueError
        position += length
        if marker in _FRAMES:
            size = struct.unpack_from(">HH", segment, 3)
        if marker == 0xE1 and segment[2:8] == b"Exif\0\0":
            turned = _orientation(segment[8:])
        if _is_picture(marker, segment):
            kept.append(bytes([0xFF, marker]) + segment)
    if turned != 1:
        kept.insert(1, _only_orientation(turned))
    return size[1], size[0], b"".join(kept) + b"\xff\xd9"


def _is_picture(marker: int, segment: bytes) -> bool:
    """Of the application segments those that say how to show it: JFIF, the colour profile, Adobe's kind of colours."""
    if marker == 0xE0:
        return segment[2:7] == b"JFIF\0"
    if marker == 0xE2:
        return segment[2:14] == b"ICC_PROFILE\0"
    return marker == 0xEE or not (0xE1 <= marker <= 0xEF or marker == 0xFE)


def _orientation(tiff: bytes) -> int:
    """Which way up the camera was held (1 to 8); 1 where it does not say."""
    try:
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for number in range(entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * number)
            if (tag, kind) == (0x0112, 3) and 1 <= value <= 8:
                return int(value)
    except (KeyError, struct.error):
        pass
    return 1


def _only_orientation(turned: int) -> bytes:
    """An EXIF segment that tells nothing but which way up."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, turned, 0, 0)
    return b"\xff\xe1" + struct.pack(">H", 8 + len(tiff)) + b"Exif\0\0" + tiff


def _png(data: bytes) -> tuple[int, int, bytes]:
    kept, position = [data[:8]], 8
    width, height = struct.unpack_from(">II", data, 16)
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        chunk = data[position : position + 12 + length]
        if len(chunk) != 12 + length:
            raise ValueError
        if kind in _PNG_KEPT:
            kept.append(chunk)
        position += len(chunk)
        if kind == b"IEND":
            return width, height, b"".join(kept)


def _gif(data: bytes) -> tuple[int, int, bytes]:
    width, height, packed = struct.unpack_from("<HHB", data, 6)
    position = 13 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
    kept = [data[:position]]
    while True:
        start, kind = position, data[position]
        if kind == 0x3B:
            kept.append(b"\x3b")
            return width, height, b"".join(kept)
        wanted = True
        if kind == 0x21:
            label = data[position + 1]
            wanted = label == 0xF9 or (label == 0xFF and data[position + 3 : position + 14] in _GIF_KEPT)
            position += 2
        elif kind == 0x2C:
            local = data[position + 9]
            position += 10 + (3 << (local & 7) + 1 if local & 0x80 else 0) + 1
        else:
            raise ValueError
        while data[position]:
            position += 1 + data[position]
        position += 1
        if wanted:
            kept.append(data[start:position])


def _webp(data: bytes) -> tuple[int, int, bytes]:
    (whole,) = struct.unpack_from("<I", data, 4)
    if len(data) < 8 + whole:
        raise ValueError
    kept, size, position = [], (0, 0), 12
    while position < 8 + whole:
        kind, length = struct.unpack_from("<4sI", data, position)
        chunk = bytearray(data[position : position + 8 + length + (length & 1)])
        position += len(chunk)
        if kind == b"VP8X":
            chunk[8] &= ~_WEBP_TOLD
            size = 1 + int.from_bytes(chunk[12:15], "little"), 1 + int.from_bytes(chunk[15:18], "little")
        elif kind == b"VP8 " and size == (0, 0):
            size = tuple(each & 0x3FFF for each in struct.unpack_from("<HH", chunk, 14))
        elif kind == b"VP8L" and size == (0, 0):
            (bits,) = struct.unpack_from("<I", chunk, 9)
            size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        if kind not in _WEBP_DROPPED:
            kept.append(bytes(chunk))
    inside = b"WEBP" + b"".join(kept)
    return size[0], size[1], b"RIFF" + struct.pack("<I", len(inside)) + inside
