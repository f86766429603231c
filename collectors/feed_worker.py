"""The process in which feeds are parsed: ``python -m collectors.feed_worker``, talked to over its standard streams.

A job is a line of JSON (``length``, ``content_type``, ``url``) and that many bytes; the answer is one line of JSON.
It ends by itself when there has been nothing to do for a while, and when whoever started it is gone.
"""

from __future__ import annotations

import json
import resource
import select
import sys

IDLE_SECONDS = 30.0
MEMORY = 512 * 1024 * 1024  # bytes of address space; feedparser alone takes about 60 MiB of it
CPU_SECONDS = 6  # per feed, at most; a busy machine may take longer about it


def main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from collectors.feed_parser import Refused, parse

    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    stdout.write(b"ready\n")
    stdout.flush()
    while True:
        if not select.select([stdin], [], [], IDLE_SECONDS)[0]:
            return 0
        line = stdin.readline()
        if not line:
            return 0
        job = json.loads(line)
        body = stdin.read(job["length"])
        usage = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(usage.ru_utime + usage.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (spent + CPU_SECONDS, resource.RLIM_INFINITY))
        try:
            answer: object = {"feed": parse(body, job["content_type"], job["url"])}
        except Refused as refused:
            answer = {"refused": refused.reason, "message": str(refused), "hint": refused.hint}
        except MemoryError:
            answer = {"refused": "too_large", "message": "reading it takes more memory than it may", "hint": None}
        except RecursionError:
            answer = {"refused": "damaged", "message": "it is nested too deeply", "hint": None}
        stdout.write(json.dumps({**_peak(), **answer}).encode() + b"\n")  # type: ignore[dict-item]
        stdout.flush()


def _peak() -> dict[str, int]:
    return {"peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


if __name__ == "__main__":
    sys.exit(main())
