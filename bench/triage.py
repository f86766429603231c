"""Every judge measured: ``python -m bench.triage FOLDER``, where FOLDER has the labelled sets in ``text/``."""

from __future__ import annotations

import sys
from pathlib import Path

from bench import triage_kind, triage_language, triage_stories


def main(corpus: Path) -> None:
    for part in (triage_language, triage_kind, triage_stories):
        part.main(corpus)
        print()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
