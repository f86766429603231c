"""Pictures of answers: what a file tells besides its picture stays here; what it shows is said, and goes out once."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from datetime import timedelta
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

import channels
import images
import pictures
from errors import InvalidInput, NotFoundError
from models import Case, Picture, Reply, ReplyStatus
from replies.outbox import Outbox, submit
from sandbox.base import Fault
from tests.factories import user
from tests.test_imports import facebook_town
from tests.town import Town, town
from triage import answering, merging

HERE = b"59.3293 N 18.0686 E"  # what must not leave the house


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def exif(turned: int | None = None, order: str = ">") -> bytes:
    """As a telephone writes it: the orientation, and the place in a block of its own."""
    entries = [] if turned is None else [struct.pack(f"{order}HHIHH", 0x0112, 3, 1, turned, 0)]
    entries.append(struct.pack(f"{order}HHII", 0x8825, 4, 1, 60))
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}I", 8)
    return segment(
        0xE1, b"Exif\0\0" + head + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + b"\0" * 8 + HERE
    )


def jpeg(*more: bytes, width: int = 40, height: int = 30, behind: bytes = b"") -> bytes:
    frame = segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")
    scan = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\xff\x00\x34\xff\xd0\x56"
    table = segment(0xC4, b"\0" * 17)
    jfif = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    return b"\xff\xd8" + jfif + b"".join(more) + table + frame + scan + table + scan + b"\xff\xd9" + behind


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*more: bytes, width: int = 40, height: int = 30, behind: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress((b"\0" + b"\x80" * width) * height))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + rows + chunk(b"IEND") + behind


def gif(*more: bytes, behind: bytes = b"") -> bytes:
    frame = b"\x2c\0\0\0\0" + struct.pack("<HHB", 2, 2, 0) + b"\2\2\x44\1\0"
    head = b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0) + b"\0" * 6
    return head + b"".join(more) + b"\x21\xf9\4\0\0\0\0\0" + frame + b"\x3b" + behind


def riff(*chunks: bytes) -> bytes:
    inside = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(inside)) + inside


def part(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)


FLAGS = bytes([0x0C, 0, 0, 0]) + (39).to_bytes(3, "little") + (29).to_bytes(3, "little")
LOSSLESS = part(b"VP8L", b"\x2f" + struct.pack("<I", 39 | 29 << 14) + b"\0" * 4)
LOSSY = part(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 40, 30) + b"\0" * 3)

# -- what a file tells ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "data", "size"),
    [
        ("image/jpeg", jpeg(), (40, 30)),
        ("image/png", png(), (40, 30)),
        ("image/gif", gif(), (2, 2)),
        ("image/webp", riff(LOSSY), (40, 30)),
        ("image/webp", riff(LOSSLESS), (40, 30)),
    ],
)
def test_what_tells_nothing_stays_as_it_is(kind: str, data: bytes, size: tuple[int, int]) -> None:
    found = images.read(data)
    assert (found.media_type, (found.width, found.height), found.body, found.stripped) == (kind, size, data, False)


@pytest.mark.parametrize(
    ("data", "clean"),
    [
        (jpeg(exif()), jpeg()),
        (jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + HERE)), jpeg()),
        (jpeg(segment(0xED, b"Photoshop 3.0\0" + HERE), segment(0xFE, HERE)), jpeg()),
        (jpeg(segment(0xE2, b"MPF\0" + HERE), behind=jpeg(exif())), jpeg()),
        (png(chunk(b"eXIf", HERE), chunk(b"iTXt", HERE), chunk(b"tIME", b"\0" * 7), behind=HERE), png()),
        (gif(b"\x21\xfe" + bytes([len(HERE)]) + HERE + b"\0", behind=HERE), gif()),
        (gif(b"\x21\xff\x0bXMP DataXMP" + bytes([len(HERE)]) + HERE + b"\0"), gif()),
        (
            riff(part(b"VP8X", FLAGS), LOSSY, part(b"EXIF", HERE), part(b"XMP ", HERE)),
            riff(part(b"VP8X", b"\0" + FLAGS[1:]), LOSSY),
        ),
    ],
    ids=["exif", "xmp", "iptc", "second", "png", "comment", "gif-xmp", "webp"],
)
def test_where_and_how_it_was_taken_is_left_out(data: bytes, clean: bytes) -> None:
    found = images.read(data)
    assert HERE not in found.body
    assert (found.body, found.stripped) == (clean, True)


@pytest.mark.parametrize("order", [">", "<"])
def test_which_way_up_it_is_stays(order: str) -> None:
    found = images.read(jpeg(exif(6, order)))
    assert HERE not in found.body and images._orientation(found.body[12:]) == 6
    assert images.read(found.body).body == found.body, "read again, nothing more is left out"


def test_colours_and_repetition_stay() -> None:
    for data in (
        jpeg(segment(0xE2, b"ICC_PROFILE\0\1\1colours"), segment(0xEE, b"Adobe\0d\0\0\0\0\1")),
        png(chunk(b"iCCP", b"colours"), chunk(b"acTL", b"\0" * 8)),
        gif(b"\x21\xff\x0bNETSCAPE2.0\3\1\0\0\0"),
    ):
        assert images.read(data).body == data


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"%PDF-1.7", b"GIF89a", b"\xff\xd8\xff\xd9", b"RIFF\4\0\0\0WEBP"])
def test_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        images.read(data)


def test_a_file_of_markers_alone_is_refused_at_once() -> None:
    began = process_time()
    for data in (b"\xff\xd8\xff" + b"\xff" * 3_000_000, b"\xff\xd8" + b"\xff\xda\0\2" + b"\xff" * 3_000_000):
        with pytest.raises(InvalidInput):
            images.read(data)
    assert process_time() - began < 3, "the time it takes grows faster than the file"


def test_bytes_that_fill_up_before_a_marker_are_allowed() -> None:
    plain = jpeg()
    at = plain.index(b"\xff\xe0")
    filled = plain[:at] + b"\xff" * 5 + plain[at:]
    assert (images.read(filled).width, images.read(filled).height) == (40, 30)
    with pytest.raises(InvalidInput):
        images.read(plain[:at] + b"\xff\0" + plain[at:])


@given(st.sampled_from([jpeg(exif(3)), png(chunk(b"tEXt", HERE)), gif(), riff(LOSSY)]), st.data())
def test_whatever_is_broken_in_a_file_it_is_read_or_refused(data: bytes, draw: st.DataObject) -> None:
    where = draw.draw(st.integers(0, len(data) - 1))
    broken = draw.draw(
        st.sampled_from([data[:where], data[:where] + draw.draw(st.binary(max_size=9)) + data[where + 1 :]])
    )
    try:
        found = images.read(broken)
    except InvalidInput:
        return
    assert found.width > 0 and found.height > 0 and len(found.body) <= len(broken) + 40


# -- with an answer ---------------------------------------------------------------------------------------------------


@pytest.fixture
def storby(make_house: Any) -> Iterator[Town]:
    with town(make_house, replies={"hold": "0s"}) as made:
        yield made


def add(here: Any, number: int, data: bytes, alt: str = "", channel: str = "twitter") -> int:
    with here.house.database.transaction() as db:
        eva = user(db)
        takes = channels.capabilities(channel).pictures
        made, _ = pictures.add(db, case_id=number, user_id=eva.id, data=data, takes=takes, at=here.at)
        if alt:
            pictures.describe(db, made.id, user_id=eva.id, alt=alt)
        return made.id


def asked(storby: Town) -> tuple[str, int]:
    post = storby.network.write("Anna", "@storby hur ser det ut?")
    storby.collect()
    return post, storby.case(post).id


def test_it_goes_out_with_its_words_and_without_its_place(storby: Town) -> None:
    post, number = asked(storby)
    ids = [add(storby, number, jpeg(exif()), "En plogbil"), add(storby, number, png(), "En karta")]
    reply = storby.reply(storby.answer(post, "Så här:", picture_ids=ids))
    assert [delivered.status for delivered in storby.send()] == ["sent"]
    sent = storby.reply(reply.id)
    assert sent.external_id is not None
    assert storby.network.pictures_of(sent.external_id) == [(jpeg(), "En plogbil"), (png(), "En karta")]
    with storby.house.database.read() as db:
        assert pictures.of_draft(db, number, user(db).id) == []
        assert [each.alt for each in pictures.of_replies(db, number)[reply.id]] == ["En plogbil", "En karta"]
    storby.collect()
    assert storby.case(post).reply_count == 1, "seen again on the network, it is the same answer"


@pytest.mark.parametrize("fault", [Fault.html_error, Fault.rate_limited, Fault.unauthorized])
def test_where_the_upload_fails_nothing_is_out_and_that_is_certain(storby: Town, fault: Fault) -> None:
    post, number = asked(storby)
    reply = storby.answer(post, "Så här:", picture_ids=[add(storby, number, jpeg(), "En plogbil")])
    storby.network.faults.on(fault, 1)
    storby.send()
    found = storby.reply(reply)
    assert found.status == ("failed" if fault is Fault.unauthorized else "queued")
    assert "did not take the picture" in (found.error or "")
    assert storby.seen_outside() == []
    if fault is Fault.unauthorized:
        with storby.house.database.transaction() as db:
            answering.send_again(db, reply, actor="eva@storby.example", at=storby.at)
    storby.forward(hours=1)
    storby.send()
    sent = storby.reply(reply)
    assert sent.status == "sent" and sent.external_id is not None
    assert storby.network.pictures_of(sent.external_id) == [(jpeg(), "En plogbil")]


def test_cut_off_after_the_post_it_is_found_by_its_words(storby: Town) -> None:
    post, number = asked(storby)
    reply = storby.answer(post, "Så här:", picture_ids=[add(storby, number, jpeg(), "En plogbil")])
    storby.network.faults.on(Fault.accept_then_cut, 1)
    storby.send()
    assert storby.reply(reply).status == "uncertain"
    storby.forward(minutes=1)
    storby.send()
    assert storby.reply(reply).status == "sent"
    assert len(storby.seen_outside()) == 1


def test_undone_they_are_in_the_draft_again_and_go_with_the_next(storby: Town) -> None:
    post, number = asked(storby)
    picture = add(storby, number, jpeg(), "En plogbil")
    reply = storby.answer(post, "Så här:", picture_ids=[picture])
    with storby.house.database.transaction() as db:
        answering.cancel_reply(db, reply, queued=True, actor="eva@storby.example", at=storby.at)
    with storby.house.database.read() as db:
        assert [each.id for each in pictures.of_draft(db, number, user(db).id)] == [picture]
    storby.answer(post, "Nej, så här:", picture_ids=[picture])
    assert [delivered.status for delivered in storby.send()] == ["sent"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (gif(), "kind"),
        (png(chunk(b"sPLT", b"\0" * 5_000_001)), "size"),
        (jpeg(width=9000), "side"),
    ],
)
def test_what_the_network_does_not_take_is_said_at_once(storby: Town, data: bytes, code: str) -> None:
    _, number = asked(storby)
    with pytest.raises(pictures.Refused) as refused:
        add(storby, number, data)
    assert refused.value.code == code


def test_without_words_none_goes_out(storby: Town) -> None:
    post, number = asked(storby)
    wordless = add(storby, number, jpeg())
    with pytest.raises(pictures.Refused) as refused:
        storby.answer(post, "Så här:", picture_ids=[wordless])
    assert refused.value.code == "alt"
    with storby.house.database.transaction() as db:
        pictures.describe(db, wordless, user_id=user(db).id, alt="x" * 1001)
    with pytest.raises(pictures.Refused) as refused:
        storby.answer(post, "Så här:", picture_ids=[wordless])
    assert refused.value.code == "alt_long"


def test_no_more_than_the_network_takes_and_none_of_somebody_else(storby: Town) -> None:
    post, number = asked(storby)
    ids = [add(storby, number, jpeg(), "En plogbil") for _ in range(4)]
    with pytest.raises(pictures.Refused, match="4 pictures"):
        add(storby, number, jpeg())
    with storby.house.database.transaction() as db:
        bo = user(db, "bo")
        with pytest.raises(NotFoundError):
            pictures.remove(db, ids[0], user_id=bo.id)
        with pytest.raises(NotFoundError):
            pictures.describe(db, ids[0], user_id=bo.id, alt="mitt")
        with pytest.raises(pictures.Refused, match="no longer there"):
            pictures.chosen(db, number, bo.id, ids, channels.capabilities("twitter").pictures)
    storby.answer(post, "Så här:", picture_ids=ids)
    with storby.house.database.transaction() as db, pytest.raises(NotFoundError):
        pictures.remove(db, ids[0], user_id=user(db).id)


def test_they_follow_a_merged_case(storby: Town) -> None:
    _, one = asked(storby)
    _, other = asked(storby)
    picture = add(storby, one, jpeg(), "En plogbil")
    with storby.house.database.transaction() as db:
        merging.merge(db, one, into=other, actor="eva@storby.example", at=storby.at)
    with storby.house.database.read() as db:
        assert db.get_one(Picture, picture).case_id == other


def test_a_facebook_comment_with_a_picture(make_house: Any) -> None:
    with facebook_town(make_house, replies={"hold": "0s"}) as here:
        post = here.network.write("Anna", "Hur ser det ut?")
        here.pull()
        with here.house.database.read() as db:
            number = db.scalars(select(Case.id)).one()
        picture = add(here, number, jpeg(exif()), "En plogbil", "facebook")
        with pytest.raises(pictures.Refused):
            add(here, number, png(), channel="facebook")
        with here.house.database.transaction() as db:
            with pytest.raises(pictures.Refused) as refused:
                submit(
                    db, here.house, number, body="Nej", user=user(db), at=here.at, private=True, picture_ids=[picture]
                )
            assert refused.value.code == "none"
            reply = submit(db, here.house, number, body="Så här:", user=user(db), at=here.at, picture_ids=[picture]).id
        here.network.faults.on(Fault.html_error, 1)
        with Outbox(here.house, lambda: here.at) as outbox:
            outbox.run()
            assert len(here.network.posts()) == 1, "the picture was not taken, so nothing was said"
            here.at += timedelta(minutes=1)
            outbox.run()
        with here.house.database.read() as db:
            sent = db.get_one(Reply, reply)
        assert sent.status == ReplyStatus.sent and sent.external_id is not None
        assert here.network.picture_of(sent.external_id) == (jpeg(), "En plogbil")
        assert here.network.posts()[-1].in_reply_to == post


def test_wordpress_takes_none_in_a_comment() -> None:
    assert channels.capabilities("blog").pictures is None
    with pytest.raises(pictures.Refused) as refused:
        pictures._some(None)
    assert refused.value.code == "none"
