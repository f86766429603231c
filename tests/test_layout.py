"""The walls: what lies where, who imports whom, who knows a network's name, and the one door to a case's status."""

from __future__ import annotations

import ast
import configparser
import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import channels

ROOT = Path(__file__).parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")

# What each module at the top may import of ours. setup.cfg holds the contracts of the packages.
BELOW = {"channels", "collectors", "database", "errors", "models", "outbound", "replies", "settings", "triage"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "settings": {"errors"},
    "models": {"errors"},
    "outbound": {"errors"},
    "database": {"errors"},
    "audit": {"models"},
    "events": {"models"},
    "house": {"channels", "database", "errors", "models", "outbound", "settings", "triage"},
    "money": {"models"},
    "pulls": BELOW | {"house", "money"},
    "images": {"errors"},
    "imports": BELOW | {"audit", "house", "money", "pulls"},
    "pictures": {"channels", "database", "errors", "images", "models"},
    "backup": {"database", "errors", "house", "models"},
    "checkup": BELOW | {"house", "mail", "pulls", "report_mails"},
    "webhooks": BELOW | {"events", "house"},
    "report_mails": {"database", "models", "triage"},
    "mail": BELOW | {"house", "report_mails", "web"},
    "jobs": BELOW | {"house", "imports", "mail", "pulls", "webhooks"},
    "scheduler": BELOW | {"house", "imports", "jobs", "pulls"},
    "supervisor": {"database", "errors", "house", "models", "web"},
    "cli": BELOW
    | {"audit", "backup", "checkup", "house", "jobs", "mail", "pulls", "sandbox", "scheduler", "supervisor", "web"}
    | {"imports", "reports", "webhooks"},
}


def listed(option: str) -> set[str]:
    return set(SETUP["options"][option].split())


def modules() -> set[str]:
    return {path.stem for path in ROOT.glob("*.py")}


def packages() -> set[str]:
    """Folders with ``__init__.py``, and the migrations, which need none; not the tests."""
    found = {path.parent.relative_to(ROOT) for path in ROOT.glob("[a-z]*/**/__init__.py")}
    found |= {Path("migrations"), Path("migrations/versions")}
    outside = {"tests", "bench", "build", "node_modules"}
    return {".".join(path.parts) for path in found if path.parts[0] not in outside}


def sources(*outside: str) -> list[Path]:
    """Our own Python files, without the tests and the folders named."""
    rooms = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    away = {"tests", "build", "node_modules", "var", *outside}
    inside = [file for room in rooms if room.name not in away for file in room.rglob("*.py")]
    return [*ROOT.glob("*.py"), *inside]


def top_level() -> set[str]:
    return modules() | {name for name in packages() if "." not in name}


def test_setup_cfg_lists_what_lies_on_disk() -> None:
    assert listed("py_modules") == modules()
    assert listed("packages") == packages()


def test_every_folder_of_the_web_and_the_sandbox_is_shipped() -> None:
    shipped = SETUP["options.package_data"]
    for package in ("reports", "web", "sandbox", "triage"):
        patterns = shipped[package].split()
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                relative = path.relative_to(ROOT / package)
                at_home = f"{relative.parts[0]}/**" in patterns or any(relative.match(each) for each in patterns)
                assert at_home, f"{relative} of {package} is not installed: name it in setup.cfg"


def test_no_name_is_one_of_the_standard_library() -> None:
    assert not top_level() & sys.stdlib_module_names


@pytest.mark.parametrize("name", sorted(top_level()))
def test_the_name_means_ours(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    places = [place for place in places if Path(place).exists()]  # an editable install adds one that is none
    assert places
    assert all(Path(place).is_relative_to(ROOT) for place in places), f"{name} is somebody else's: {places}"
    owners = set(importlib.metadata.packages_distributions().get(name, ())) - {"gensvar"}
    assert not owners, f"{name} also belongs to {owners}"


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level names a file imports when it runs; what is only for the type checker does not count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        yield from imported(node)


@pytest.mark.parametrize("name", sorted(modules()))
def test_modules_import_only_what_their_room_may(name: str) -> None:
    assert name in MAY_IMPORT, f"say in MAY_IMPORT what {name} may import"
    ours = set(imported(ast.parse((ROOT / f"{name}.py").read_text()))) & top_level()
    assert ours <= MAY_IMPORT[name], f"{name} must not import {ours - MAY_IMPORT[name]}"


@pytest.mark.slow
def test_what_is_imported_is_asked_for_by_name() -> None:
    """Not only because something else brings it along; and what is asked for stands in the lock, with its version."""
    wanted = SETUP["options"]["install_requires"] + "".join(SETUP["options.extras_require"].values())
    asked = {_plain(line.partition("==")[0].partition("[")[0]): line.partition("==")[2] for line in wanted.split()}
    lock = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().split() if "==" in line)
    assert asked.items() <= {_plain(name): version for name, version in lock.items()}.items()
    owners = importlib.metadata.packages_distributions()
    for path in [*sources(), *(ROOT / "tests").glob("*.py")]:
        for name in set(imported(ast.parse(path.read_text()))) - top_level() - sys.stdlib_module_names:
            if name not in ("tests", "bench"):
                dists = {_plain(dist) for dist in owners.get(name, ())}
                assert dists & asked.keys(), f"{path.relative_to(ROOT)} imports {name}: add it to setup.cfg"


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def test_only_a_channels_own_files_and_the_registry_know_its_name() -> None:
    """What a channel can do is asked of its capabilities, never of its name."""
    names = {name for name in channels.CHANNELS if name != "api"}
    found = []
    for path in sources("sandbox", "bench", "migrations"):
        relative = path.relative_to(ROOT)
        own = any(name in relative.stem for name in names) or relative == Path("channels/__init__.py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names and not own:
                found.append(f"{relative}:{node.lineno}: {node.value!r}")
    for path in [*(ROOT / "web" / "templates").rglob("*.html"), *(ROOT / "web" / "static").glob("*.js")]:
        text = path.read_text()
        found += [f"{path.relative_to(ROOT)}: {name!r}" for name in names if f'"{name}"' in text or f"'{name}'" in text]
    assert not found, "a network's name stands where only capabilities belong:\n" + "\n".join(found)


# -- the one door -----------------------------------------------------------------------------------------------------

DOOR = Path("triage/cases.py")
AT_THE_DOOR = {Path(f"triage/{room}.py") for room in ("answering", "hiding", "merging", "undoing")}


def status_writes(text: str) -> list[int]:
    """Lines that write a status past the door: by attribute, ``setattr``, bulk update, a new row, or SQL."""
    nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt | ast.expr))
    return sorted({node.lineno for node in nodes if _writes_status(node)})


def _writes_status(node: ast.AST) -> bool:
    match node:
        case ast.Assign(targets=targets):
            return any(_is_status(part) for target in targets for part in ast.walk(target))
        case ast.AnnAssign(target=target, value=value):
            return value is not None and _is_status(target)
        case ast.AugAssign(target=target) | ast.NamedExpr(target=target) | ast.For(target=target):
            return _is_status(target)
        case ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Constant(value="status"), *_]):
            return True
        case ast.Call(func=ast.Attribute(attr="__setattr__"), args=arguments):
            return any(isinstance(part, ast.Constant) and part.value == "status" for part in arguments)
        case ast.Call(func=ast.Attribute(attr="values" | "update", value=on)):
            return _gives_status(node) and not _is_about(on, "Reply")
        case ast.Call(func=ast.Name(id="Case")) | ast.Call(func=ast.Attribute(attr="Case")):
            return _gives_status(node)
        case ast.Constant(value=str(sql)):
            words = sql.lower().split()
            return words[:2] in (["update", "cases"], ["update", "replies"]) and "status" in sql.lower()
    return False


def _is_status(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "status" and isinstance(node.ctx, ast.Store)


def _gives_status(call: ast.Call) -> bool:
    keys: list[object] = [keyword.arg for keyword in call.keywords]
    for given in (*call.args, *(keyword.value for keyword in call.keywords if keyword.arg is None)):
        if isinstance(given, ast.Dict):
            keys += [key.value if isinstance(key, ast.Constant) else getattr(key, "attr", None) for key in given.keys]
    return "status" in keys


def _is_about(chain: ast.AST, table: str) -> bool:
    """Is this ``update(TABLE).where(…)…``?"""
    while isinstance(chain, ast.Attribute | ast.Call) and not (
        isinstance(chain, ast.Call) and isinstance(chain.func, ast.Name)
    ):
        chain = chain.func if isinstance(chain, ast.Call) else chain.value
    return isinstance(chain, ast.Call) and any(isinstance(arg, ast.Name) and arg.id == table for arg in chain.args)


def test_a_status_is_written_by_one_door_only() -> None:
    past = {
        str(path.relative_to(ROOT)): lines
        for path in sources("sandbox", "bench", "migrations")
        if path.relative_to(ROOT) != DOOR and (lines := status_writes(path.read_text()))
    }
    assert not past, f"a status is written past {DOOR}: {past}"
    assert status_writes((ROOT / DOOR).read_text()), "the guard no longer sees how the door itself writes"


def test_only_the_rooms_at_the_door_write_through_it() -> None:
    """All others ask for an action by its name: what ``cases.write`` is given to write, it writes."""
    known = {DOOR, *AT_THE_DOOR}
    past = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources("sandbox", "bench", "migrations")
        if path.relative_to(ROOT) not in known
        for line in writes_through(path.read_text())
    ]
    assert not past, f"a case is written past the actions of {', '.join(map(str, sorted(known)))}: {past}"
    for path in AT_THE_DOOR:
        assert writes_through((ROOT / path).read_text()), f"{path} writes no case: it needs no leave"


def writes_through(text: str) -> list[int]:
    """Lines that use the door's own ``write`` or ``act``."""
    found = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Attribute(value=ast.Name(id="cases"), attr="write" | "act"):
                found.append(node.lineno)
            case ast.ImportFrom(module="triage.cases", names=names) if {"write", "act"} & {each.name for each in names}:
                found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    "line",
    [
        "case.status = 'open'",
        "case.status: str = 'open'",
        "case.status += 'x'",
        "case.x, case.status = 1, 'open'",
        "setattr(case, 'status', 'open')",
        "object.__setattr__(case, 'status', 'open')",
        "db.execute(update(Case).where(Case.id == 1).values(status='open'))",
        "db.execute(update(Case).values({'status': 'open'}))",
        "db.execute(update(Case).values({Case.status: 'open'}))",
        "db.query(Case).update({'status': 'open'})",
        "db.add(Case(status='open'))",
        "db.add(models.Case(**{'status': 'open'}))",
        "db.execute(text('UPDATE cases SET status = 1'))",
        "for case.status in 'ab': pass",
    ],
)
def test_the_guard_sees_every_way_past_the_door(line: str) -> None:
    assert status_writes(line) == [1]


@pytest.mark.parametrize(
    "line",
    [
        "status = case.status",
        "case.status == 'open'",
        "db.execute(update(Reply).where(Reply.id == 1).values(status='queued'))",
        "wanted = CaseFilter(status=['open'])",
        "class Case: status: str",
        "select(Case).where(Case.status == 'open')",
    ],
)
def test_the_guard_lets_reading_pass(line: str) -> None:
    assert status_writes(line) == []
