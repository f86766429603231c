"""A process of its own that sets one report: what it needs ends with it, and it may need only so much.

Reads {"paper", "standards", "made", "memory"} as JSON, writes the PDF. Run by ``reports.pdf``, never imported: not
everybody has Typst. It opens the template beside it and nothing else; neither the machine's fonts nor a network.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import typst

TEMPLATES = Path(__file__).parent / "typst"
SECONDS = 20  # of the processor
CANNOT_SHOW = 3  # the exit status where the fonts lack a letter


def main() -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    asked = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (asked["memory"], asked["memory"]))
    compiler = typst.Compiler(TEMPLATES / "report.typ", root=TEMPLATES, ignore_system_fonts=True)
    data = {"paper": json.dumps(asked["paper"])}
    try:
        made = compiler.compile(
            sys_inputs=data, format="pdf", pdf_standards=asked["standards"], timestamp=asked["made"]
        )
    except typst.TypstError as error:
        sys.stderr.write(error.message)
        return CANNOT_SHOW if "could not be displayed" in error.message else 1
    assert isinstance(made, bytes)
    sys.stdout.buffer.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
