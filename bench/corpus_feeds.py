"""Every feed of a folder through the blog collector's own way of reading them: ``python -m bench.corpus_feeds FOLDER``.

Prints how many were parsed, empty or refused and why, which was slowest, and how much memory the parsing process took.
Files may begin with a comment as feedparser's tests do: ``Header:`` lines are taken for the answer's headers, and what
``Expect:`` says of titles, links, dates and contents is compared with what came out. A JSON file beside an XML file of
the same name is taken for gofeed's account of it, and titles and links are compared.
"""

from __future__ import annotations

import ast
import html
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from collectors import feeds
from collectors.plain import one_line
from errors import CollectError

BASE = "http://127.0.0.1:8097/"  # what the expectations take for the address
SHOWN = 40  # failures printed in full


def main(folder: Path) -> int:
    """0 when nothing crashed, took too long or was read otherwise than expected."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".xml", ".json"))
    outcome: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    expectations: Counter[str] = Counter()
    failures: list[str] = []
    crashes: list[str] = []
    slowest: list[tuple[float, str]] = []
    peak = entries = 0
    for path in files:
        name = str(path.relative_to(folder))
        body = path.read_bytes()
        head = _comment(body)
        headers = dict(re.findall(r"^Header:\s*([\w-]+):[ \t]*(.*?)\s*$", head, re.MULTILINE | re.IGNORECASE))
        headers = {key.lower(): value for key, value in headers.items()}
        # feedparser's expectations know of an address only where the file's name or a header says so
        over_http = path.name.startswith("http") or path.parent.name == "http" or "content-location" in headers
        url = urljoin(BASE + name, headers.get("content-location", "")) if over_http else ""
        url = url if url.startswith("http") or not over_http else BASE + name
        started = time.perf_counter()
        try:
            answer = feeds.ask(body, headers.get("content-type", ""), url)
        except CollectError as error:
            crashes.append(f"{name}: {error}")
            continue
        finally:
            slowest.append((time.perf_counter() - started, name))
        peak = max(peak, answer["peak_kib"])
        if "refused" in answer:
            outcome["refused"] += 1
            refused[f"{path.suffix} {answer['refused']}: {re.sub(r' ?[(“].*', '', answer['message'])}"] += 1
            if "Expect:" in head and answer["refused"] != "entities":
                expectations["file refused"] += 1
                failures.append(f"{name}: refused, {answer['message']}; {head.strip()[-160:]!r}")
            continue
        feed = answer["feed"]
        entries += len(feed["entries"])
        outcome["parsed" if feed["entries"] else "empty"] += 1
        for item in feed["set_aside"]:
            failures.append(f"{name}: an entry set aside, {item['reason']}")
        for holds, words in _expected(head, feed):
            expectations["hold" if holds else "do not hold"] += 1
            if not holds:
                failures.append(f"{name}: {words}")
        for agrees, words in _told_by_gofeed(path, feed):
            expectations["as gofeed" if agrees else "not as gofeed"] += 1
            if not agrees:
                failures.append(f"{name}: {words}")
    slowest.sort(reverse=True)
    kinds = Counter(path.suffix for path in files)
    print(f"{len(files)} files ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))})")
    print(f"parsed {outcome['parsed']} with {entries} entries, empty {outcome['empty']}, refused {outcome['refused']}:")
    for why, count in refused.most_common():
        print(f"  {count:5} {why}")
    print(f"crashed or killed {len(crashes)}" + "".join(f"\n  {crash}" for crash in crashes))
    print("slowest " + ", ".join(f"{seconds:.2f} s {name}" for seconds, name in slowest[:3]))
    print(f"peak memory of a parser {peak / 1024:.0f} MiB")
    print(f"expected values: {dict(expectations)}")
    for failure in failures[:SHOWN]:
        print(f"  {failure}")
    if len(failures) > SHOWN:
        print(f"  and {len(failures) - SHOWN} more")
    return 1 if crashes or expectations["do not hold"] or slowest[0][0] > 5 else 0


def _comment(body: bytes) -> str:
    """The comment a file begins with, whatever it is written in."""
    for encoding in (
        "utf-8",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "utf-32-le",
        "utf-32-be",
        "latin-1",
        "cp037",
    ):
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError:
            continue
        found = re.search(r"<!--(.*?)-->", text, re.DOTALL)
        if found and ("Expect:" in found[1] or "Header:" in found[1]):
            return found[1]
    return ""


# -- feedparser's expectations --------------------------------------------------------------------------------------


def _expected(head: str, feed: Any) -> Iterator[tuple[bool, str]]:
    """Each comparison of a field we carry: does it hold, and in words."""
    found = re.search(r"^Expect:\s*(.*?)\s*$", head, re.MULTILINE)
    if not found:
        return
    try:
        tree = ast.parse(found[1], mode="eval")
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq):
            continue
        try:
            value = _constant(node.comparators[0])
        except ValueError:
            continue
        path = _path(node.left)
        ours = _ours(path, value, feed)
        if ours is not None:
            got, wanted = ours
            yield got == wanted, f"{'.'.join(map(str, path))} is {got!r:.200}, expected {wanted!r:.200}"


def _constant(node: ast.expr) -> Any:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _constant(node.left) + _constant(node.right)
    return ast.literal_eval(node)


def _path(node: ast.expr) -> tuple[str | int, ...]:
    """``entries[0]['title']`` as ('entries', 0, 'title')."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        key = node.slice.value
        return (*_path(node.value), key if isinstance(key, str | int) else "")
    if isinstance(node, ast.Attribute):
        return (*_path(node.value), node.attr)
    return (node.id,) if isinstance(node, ast.Name) else ()


def _ours(path: tuple[str | int, ...], value: Any, feed: Any) -> tuple[Any, Any] | None:
    """What we made of it and what it should be, both in our form; None for what we do not carry."""
    match path:
        case ("feed", "title") | ("feed", "title_detail", "value"):
            return _title(feed["title"], value)
        case ("feed", "link"):
            wanted = value if str(value).startswith(("http://", "https://")) else None
            return feed["link"], wanted
        case ("entries", int(index), *rest) if index < len(feed["entries"]):
            entry = feed["entries"][index]
        case _:
            return None
    raw = entry["raw"]
    match rest:
        case ["title"] | ["title_detail", "value"]:
            return _title(entry["title"] or "", value)
        case ["link"]:
            return entry["link"] or "", value.strip()
        case ["published_parsed"] | ["created_parsed"] | ["updated_parsed"] | ["date_parsed"]:
            key = "updated" if rest[0] in ("updated_parsed", "date_parsed") else "published"
            got = entry[key] or entry["published"]
            return (datetime.fromisoformat(got).utctimetuple()[:6] if got else None), tuple(
                value[:6]
            ) if value else None
        case ["content", 0, "value"]:
            return _content(entry), value.strip()
        case ["summary"] | ["description"] | ["summary_detail", "value"]:
            return (raw.get("summary") or "").strip() if raw.get("content") else _content(entry), value.strip()
    return None


def _content(entry: Any) -> str:
    return str(entry["html"] if entry["html"] is not None else entry["text"]).strip()


def _title(ours: str, told: str) -> tuple[str, str]:
    """Ours is plain text: what is expected may be markup, or text that only looks like it."""
    text = " ".join(html.unescape(told).split())
    return ours, text if ours == text else one_line(told)


# -- gofeed's expectations ------------------------------------------------------------------------------------------


def _told_by_gofeed(path: Path, feed: Any) -> Iterator[tuple[bool, str]]:
    beside = path.with_suffix(".json") if path.suffix == ".xml" else path.with_name(f"{path.stem}_expected.json")
    if not beside.exists():
        return
    told = json.loads(beside.read_text("utf-8"))
    items = told.get("items") or told.get("entries") or []
    pairs = [("feed title", feed["title"], told.get("title"))]
    if len(items) == len(feed["entries"]):
        for entry, item in zip(feed["entries"], items, strict=True):
            pairs.append(("title", entry["title"], item.get("title")))
            pairs.append(("link", entry["link"], item.get("link") or item.get("url")))
    for name, ours, theirs in pairs:
        if isinstance(theirs, str) and theirs:
            wanted = theirs.strip() if name == "link" else _title(ours or "", theirs)[1]
            yield (ours or "") == wanted, f"{name} is {ours!r:.200}, gofeed says {wanted!r:.200}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
