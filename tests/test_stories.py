"""Stories: what is drawn together, what is not, in which order, and when it alarms."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from triage import fingerprints, matters
from triage.fingerprints import Fingerprint, canonical, near_equal
from triage.spread import stage
from triage.stories import Gatherer, Item, alarming, fingerprint, growth, kinship, timeline

MONDAY = datetime(2026, 1, 12, 7, tzinfo=UTC)
STORM = yaml.safe_load((Path(__file__).parent.parent / "sandbox" / "snowstorm.yaml").read_text(encoding="utf-8"))


def item(id: int, text: str, minutes: float = 0, **fields: Any) -> Item:
    given: dict[str, Any] = {
        "title": None,
        "language": None,
        "links": (),
        "quotes": (),
        "thread": None,
        "author": f"author {id}",
        "channel": "square",
    }
    return Item(id=id, at=MONDAY + timedelta(minutes=minutes), text=text, **(given | fields))


def gathered(*items: Item) -> Gatherer:
    gatherer = Gatherer()
    for each in items:
        gatherer.add(each.id, each.at, fingerprint(each))
    return gatherer


def equally_rare(feature: str) -> float:
    return fingerprints.worth(feature, 0, 0)


def storm() -> list[Item]:
    return [
        item(
            number,
            said["text"],
            said["minutes"],
            language=said["language"],
            author=said["author"],
            links=(said["link"],) if "link" in said else (),
            channel=("square", "page", "paper")[number % 3],
        )
        for number, said in enumerate(STORM, 1)
    ]


def agreement(one: Mapping[int, object], other: Mapping[int, object]) -> tuple[float, float]:
    """Of the pairs ``other`` puts together, how many ``one`` does too, and the other way round."""
    pairs = [
        {pair for pair in combinations(sorted(groups), 2) if groups[pair[0]] == groups[pair[1]]}
        for groups in (one, other)
    ]
    both = len(pairs[0] & pairs[1])
    return both / len(pairs[1]), both / len(pairs[0])


# -- links


@pytest.mark.parametrize(
    "link, same",
    [
        ("https://www.posten.example/a/b?utm_source=x&id=7", "http://posten.example/a/b/?id=7#comments"),
        ("https://m.posten.example/a", "https://posten.example/a/amp"),
        ("https://posten.example/?b=2&a=1", "https://posten.example?a=1&b=2&fbclid=abc"),
        ("www.posten.example/a", "https://posten.example:443/a/index.html"),
    ],
)
def test_one_page_has_one_key(link: str, same: str) -> None:
    assert canonical(link) == canonical(same) is not None


@pytest.mark.parametrize(
    "link",
    ["https://posten.example/", "https://www.posten.example/?utm_source=x", "mailto:a@b.example", "http://[", ""],
)
def test_what_names_no_single_page_has_no_key(link: str) -> None:
    assert canonical(link) is None


def test_different_pages_have_different_keys() -> None:
    links = ["https://a.example/1", "https://a.example/2", "https://b.example/1", "https://a.example/1?page=2"]
    assert len({canonical(link) for link in links}) == len(links)


# -- kinship


def test_a_shared_link_is_the_strongest_reason() -> None:
    one = fingerprint(item(1, "Läs det här https://posten.example/plog?utm_source=x"))
    other = fingerprint(item(2, "So true!", links=("https://m.posten.example/plog",), channel="page"))
    kin = kinship(one, other, equally_rare)
    assert kin is not None and (kin.strength, kin.reason, kin.words) == (1.0, "link", ("posten.example/plog",))


def test_an_articles_own_address_is_shared_by_who_links_to_it() -> None:
    article = fingerprint(item(1, "En lång artikel", url="https://blogg.example/plog", channel="blog"))
    kin = kinship(article, fingerprint(item(2, "se https://blogg.example/plog/")), equally_rare)
    assert kin is not None and kin.reason == "link"


def test_a_quote_joins_the_quoted_and_the_others_who_quote() -> None:
    top = fingerprint(item(1, "Det brinner", own="77"))
    here, there = (fingerprint(item(n, text, quotes=("77",))) for n, text in ((2, "usch"), (3, "hu")))
    elsewhere = fingerprint(item(4, "hu", quotes=("77",), channel="page"))
    for one, other in ((top, here), (here, there)):
        kin = kinship(one, other, equally_rare)
        assert kin is not None and kin.reason == "quote"
    assert kinship(here, elsewhere, equally_rare) is None, "ids of two networks are two ids"


def test_a_shortened_copy_is_near_equal() -> None:
    whole = fingerprint(item(1, "Badhuset stänger i tre veckor för att taket läcker, meddelar kommunen på sin hemsida"))
    copy = fingerprint(item(2, "RT @posten: Badhuset stänger i tre veckor för att taket läcker, meddelar kommu…"))
    kin = kinship(whole, copy, equally_rare)
    assert kin is not None and kin.reason == "text"


@pytest.mark.parametrize(
    "one, other",
    [
        ("Linje 7 är inställd till klockan tio i dag", "Linje 4 är inställd till klockan tio i dag"),
        ("Vattnet är avstängt på Kvarngatan i natt igen", "Vattnet är avstängt på Storgatan i natt igen"),
        ("Mötet flyttas till den 12 mars i stora salen", "Mötet flyttas till den 19 mars i stora salen"),
    ],
)
def test_another_line_street_or_day_is_another_message(one: str, other: str) -> None:
    a, b = fingerprint(item(1, one)), fingerprint(item(2, other))
    assert near_equal(a, b) == 0
    against, unnamed = kinship(a, b, equally_rare), kinship(a, a, equally_rare)
    assert unnamed is not None and (against is None or against.strength < unnamed.strength / 1.5)


@pytest.mark.parametrize(
    "texts",
    [
        {"sv": "Strömmen är borta på Sågholmen", "da": "Strømmen er gået", "nb": "Vi er uten strøm",
         "nn": "Straumen er borte", "en": "Power cut again", "de": "Stromausfall", "fi": "Sähkökatko"},
        {"sv": "Bussen kom aldrig", "da": "Bussen er aflyst", "nb": "Bussen er innstilt", "nn": "Bussen er forseinka",
         "en": "Waiting for the bus for an hour"},
        {"sv": "Pengarna tillbaka, tack", "da": "Jeg vil have pengene tilbage", "nb": "Når kommer refusjonen?",
         "nn": "Eg vil ha pengane tilbake", "en": "Where is my refund?"},
        {"sv": "Det går inte att logga in", "da": "Login virker ikke", "nb": "Innlogging virker ikke",
         "nn": "Innlogginga verkar ikkje", "en": "Can't log in"},
    ],
)  # fmt: skip
def test_a_matter_is_the_same_in_every_language(texts: dict[str, str]) -> None:
    named = [set(fingerprint(item(1, text, language=language)).concepts) for language, text in texts.items()]
    assert set.intersection(*named), named
    unknown = [set(fingerprint(item(1, text)).concepts) for text in texts.values()]
    assert set.intersection(*unknown), "and when the language is not known"


def test_the_dictionary_is_well_formed() -> None:
    known = matters.dictionary()
    named = {each for table in known.words.values() for both in table.values() for each in both}
    named |= {matter for group in known.phrases.values() for both in group.values() for _, matter in both}
    made = {part for thing, both in known.made.items() for part in (thing, *(trouble for trouble, _ in both))}
    assert made <= named, "made of concepts that have no words"
    assert len(named | {matter for both in known.made.values() for _, matter in both}) > 350


def test_a_fingerprint_is_kept_as_json() -> None:
    for each in storm()[:40]:
        print = fingerprint(each)
        assert Fingerprint.from_json(json.loads(json.dumps(print.to_json()))) == print
        assert len(json.dumps(print.to_json())) < 3000


@given(st.text(max_size=300), st.text(max_size=40))
def test_any_text_has_a_fingerprint(text: str, title: str) -> None:
    print = fingerprint(item(1, text, title=title, links=(text[:50],)))
    kin = kinship(print, print, equally_rare)
    assert kin is None or 0 < kin.strength <= 1


# -- stories


def test_first_alone_then_joined_then_two_stories_become_one() -> None:
    gatherer = Gatherer()
    said = [
        item(1, "Hela kyrkan är full av vackra blommor"),
        item(2, "https://posten.example/plog"),
        item(3, "Nån mer? https://posten.example/plog"),
        item(4, "Bra skrivet om torget https://posten.example/torget"),
        item(5, "Vad fint https://posten.example/torget"),
        item(6, "Två artiklar: https://posten.example/torget och https://posten.example/plog"),
    ]
    placings = [gatherer.add(each.id, each.at, fingerprint(each)) for each in said]
    assert [placing.story for placing in placings] == [None, None, 2, None, 4, 2]
    assert [placing.joins for placing in placings] == [(), (), (), (), (), (4,)]
    assert placings[5].kin and {kin.reason for _, kin in placings[5].kin} == {"link"}
    assert gatherer.members(2) == {2, 3, 4, 5, 6} and gatherer.story(1) is None


def test_the_storm_becomes_a_handful_of_stories() -> None:
    items = storm()
    gatherer = gathered(*items)
    found = {each.id: gatherer.story(each.id) or each.id for each in items}
    truth = {each.id: said["matter"] or f"nothing {each.id}" for each, said in zip(items, STORM, strict=True)}
    recall, precision = agreement(found, truth)
    assert precision >= 0.95 and recall >= 0.8, (precision, recall)
    big = {story: gatherer.members(story) for story, n in Counter(found.values()).items() if n >= 10}
    told = {STORM[id - 1]["matter"] for members in big.values() for id in members}
    assert len(big) == 6 and told >= {"snow", "bus", "power", "water", "school", "login"}
    for story, members in big.items():
        languages = {STORM[id - 1]["language"] for id in members}
        assert len(languages) >= 4, (story, languages)
        assert len({items[id - 1].channel for id in members}) == 3


words = st.sampled_from(("plog", "gata", "buss", "tidning", "kommun", "brand", "skola", "vatten", "torg", "kväll"))
arrivals = st.lists(
    st.builds(
        lambda id, text, hours, links, quotes: item(id, " ".join(text), hours * 60, links=links, quotes=quotes),
        st.just(0),
        st.lists(words, max_size=9),
        st.integers(0, 13 * 24),
        st.lists(st.sampled_from(["https://a.example/1", "https://a.example/2"]), max_size=1).map(tuple),
        st.lists(st.sampled_from(["7", "8", "9"]), max_size=1).map(tuple),
    ),
    max_size=14,
).map(lambda items: [Item(**(vars(each) | {"id": n})) for n, each in enumerate(items, 1)])


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(arrivals, st.randoms(use_true_random=False))
def test_echoes_do_not_depend_on_the_order_of_arrival(items: list[Item], chance: random.Random) -> None:
    shuffled = chance.sample(items, len(items))
    one, other = gathered(*items), gathered(*shuffled)
    assert {each.id: one.echo(each.id) for each in items} == {each.id: other.echo(each.id) for each in items}
    for each in items:
        assert len({one.story(copy) for copy in one.echo(each.id)}) == 1, "copies are in the same story"


@pytest.mark.slow
def test_stories_by_words_depend_a_little_on_the_order_of_arrival() -> None:
    """As docs/stories.md says: the same six stories, some of their mentions elsewhere."""
    items = storm()
    usual = gathered(*items)
    again = gathered(*items)
    stories = {each.id: usual.story(each.id) or each.id for each in items}
    assert stories == {each.id: again.story(each.id) or each.id for each in items}, "the same order, the same stories"
    differ = False
    for seed in range(3):
        shuffled = gathered(*random.Random(seed).sample(items, len(items)))
        other = {each.id: shuffled.story(each.id) or each.id for each in items}
        assert min(agreement(stories, other)) >= 0.75
        differ |= other != stories
    assert differ, "then the page need not say so"


def test_a_text_without_spaces_takes_no_time() -> None:
    started = time.monotonic()
    assert fingerprint(item(1, "a" * 100_000 + " slut i gatan… nu")).words
    assert time.monotonic() - started < 3, "a word that may be cut off is looked for from each of its letters"


def test_silence_ends_a_story_and_a_bridge_goes_on() -> None:
    def link(id: int, days: float) -> Item:
        return item(id, "https://posten.example/plog", days * 24 * 60)

    assert gathered(link(1, 0), link(2, 7)).story(2) == 1
    assert gathered(link(1, 0), link(2, 7.1)).story(2) is None
    assert gathered(link(1, 0), link(2, 8), link(3, 4)).story(2) == 1, "what came late lies between"


def test_what_is_old_is_forgotten() -> None:
    gatherer = Gatherer()
    sizes = []
    for day in range(120):
        for each in storm()[:20]:
            gatherer.add(day * 100 + each.id, each.at + timedelta(days=day), fingerprint(each))
        indexes = (gatherer._echoes, gatherer._told, gatherer._seen, gatherer._order)
        sizes.append((len(gatherer), *(len(index) for index in indexes)))
    assert len(gatherer) <= 20 * 15
    assert all(now <= then * 1.1 for now, then in zip(sizes[-1], sizes[30], strict=True)), (sizes[30], sizes[-1])


# -- what a person says


def test_together_joins_and_apart_parts() -> None:
    said = [
        item(1, "Strömmen är borta på Sågholmen", 0),
        item(2, "Strömavbrott på Sågholmen igen", 2),
        item(3, "Nydelig suppe på kaféen", 3),
    ]
    gatherer = gathered(*said)
    assert gatherer.story(2) == 1 and gatherer.story(3) is None
    gatherer.together(1, 3)
    assert gatherer.members(1) == {1, 2, 3}
    gatherer.apart(1, 3)
    assert gatherer.story(3) is None and gatherer.story(2) == 1
    gatherer.apart(1, 2)
    assert gatherer.story(2) is None
    gatherer.together(1, 2)
    assert gatherer.story(2) == 1, "the latest word counts"


def test_apart_holds_before_the_second_has_come() -> None:
    gatherer = gathered(item(1, "Strömavbrott på Sågholmen"))
    gatherer.apart(1, 2)
    for id in (2, 3):
        later = item(id, "Strömavbrott på Sågholmen", id)
        gatherer.add(id, later.at, fingerprint(later))
    assert gatherer.story(1) != gatherer.story(2) and {gatherer.story(3)} <= {1, 2}


def test_words_that_joined_what_is_apart_count_less_between_the_two() -> None:
    def likeness(part: bool) -> float:
        gatherer = gathered(
            item(1, "Strömavbrott på Sågholmen efter stormen"), item(2, "Strömavbrott i skolans kök på Sågholmen", 5)
        )
        assert gatherer.story(2) == 1
        if part:
            gatherer.apart(1, 2)
        third = item(3, "Strömavbrott på Sågholmen", 9)
        kin = gatherer.add(3, third.at, fingerprint(third)).kin
        return max((each.strength for _, each in kin), default=0.0)

    assert likeness(part=True) < 0.7 * likeness(part=False)


@settings(deadline=None, max_examples=100)
@given(
    arrivals,
    st.lists(st.tuples(st.booleans(), st.integers(1, 14), st.integers(1, 14)), max_size=6),
    st.randoms(use_true_random=False),
)
def test_lessons_win_whenever_they_come(
    items: list[Item], lessons: list[tuple[bool, int, int]], chance: random.Random
) -> None:
    steps: list[Any] = chance.sample(items, len(items))
    places = sorted(chance.randrange(len(steps) + 1) for _ in lessons)
    for place, lesson in zip(
        reversed(places), reversed([each for each in lessons if each[1] != each[2]]), strict=False
    ):
        steps.insert(place, lesson)
    gatherer, last = Gatherer(), None
    for step in steps:
        if isinstance(step, Item):
            gatherer.add(step.id, step.at, fingerprint(step))
        else:
            last = step
            (gatherer.together if step[0] else gatherer.apart)(step[1], step[2])
    known = {each.id for each in items}
    if last and {last[1], last[2]} <= known:
        one, other = (gatherer.story(id) or id for id in last[1:])
        assert (one == other) is last[0], steps
    for id in known:
        mates = gatherer.members(gatherer.story(id) or id)
        assert id in mates
        assert not mates & gatherer._apart.get(id, set()), "apart in one story"
        assert gatherer._together.get(id, set()) & known <= mates, "together in two"


# -- how it spreads


def test_the_way_from_article_to_press_to_social() -> None:
    story = [
        item(4, "har ni sett", 90, author="c", channel="square"),
        item(1, "Min väg är oplogad", 0, author="a", channel="blog", url="https://anna.example/vag"),
        item(2, "Min med", 10, author="b", channel="blog", quotes=("1",), url="https://anna.example/vag#2"),
        item(3, "Boende rasar", 70, author="p", channel="blog", url="https://www.posten.example/rasar"),
        item(5, "och igen", 95, author="c", channel="square"),
    ]
    told = timeline(story, {"a": 10, "c": 500, "p": 9000}, press={"posten.example"}, sites={"blog"})
    assert (told.first, told.author, told.spreaders) == (1, "a", (("c", 2), ("b", 1), ("p", 1)))
    assert [(each.name, each.first, each.mentions) for each in told.stages] == [
        ("article", 1, 1),
        ("comment", 2, 1),
        ("press", 3, 1),
        ("social", 4, 2),
    ]
    assert told.reach == 9510
    assert told.hours == ((MONDAY, 2), (MONDAY + timedelta(hours=1), 3))


def test_press_is_known_by_its_host_alone() -> None:
    assert stage(item(1, "x", url="https://posten.example"), {"posten.example"}, ()) == "press"
    assert stage(item(1, "x", url="https://notposten.example/a"), {"posten.example"}, ()) == "social"
    assert stage(item(1, "x", links=("https://posten.example/a",)), {"posten.example"}, ()) == "social"


def minutes_before(at: datetime, *minutes: float) -> list[datetime]:
    return [at - timedelta(minutes=each) for each in minutes]


def test_growth_compares_with_the_same_weekday_and_hour() -> None:
    at = MONDAY.replace(hour=9, minute=15)
    usual = {(0, 9): 8.0, (0, 8): 4.0, (1, 9): 100.0}
    found = growth(minutes_before(at, 0, 30, 59.9, 60, 90), at, usual)
    assert (found.mentions, found.before, found.usual) == (3, 2, 5.0)
    assert growth([], at, lambda when: 2.0 if when.hour == 9 else 6.0).usual == 5.0


def test_five_by_four_where_usually_none_alarms_and_says_why() -> None:
    at = MONDAY.replace(hour=9)
    times = minutes_before(at, 2, 9, 20, 31, 44)
    alarm = alarming(times, ["a", "b", "c", "d", "a"], at, {})
    assert alarm is not None
    assert (alarm.mentions, alarm.authors, alarm.usual, alarm.since) == (5, 4, 0.0, times[-1])


@pytest.mark.parametrize(
    "minutes, authors, usual, why",
    [
        ((2, 9, 20, 31), "abcd", 0.0, "four mentions"),
        ((2, 9, 20, 31, 44), "abcab", 0.0, "three authors"),
        ((2, 40, 80, 120, 160, 200, 240, 280), "abcdefgh", 0.0, "slow"),
        ((2, 9, 20, 31, 44), "abcde", 4.0, "as usual at this hour"),
    ],
)
def test_no_alarm(minutes: tuple[float, ...], authors: str, usual: float, why: str) -> None:
    assert alarming(minutes_before(MONDAY, *minutes), list(authors), MONDAY, lambda _: usual) is None, why


@given(st.integers(0, 400), st.floats(0, 300))
def test_chance_falls_as_mentions_rise(n: int, usual: float) -> None:
    less, more = (growth([MONDAY] * many, MONDAY, lambda _: usual).chance for many in (n, n + 1))
    assert 0 <= more <= less + 1e-9 <= 1 + 2e-9
