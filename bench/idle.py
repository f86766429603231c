"""What an idle ``gensvar run`` costs: time to the first page, and memory of all its processes together."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import yaml

CLI = Path(__file__).parent.parent / "cli.py"
SETTLE_SECONDS = 10.0


def main() -> int:
    """Starts twice: the first start makes the database, the second is what every later one costs."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        config = Path(folder) / "config.yaml"
        config.write_text(yaml.safe_dump({"organisation": {"name": "Storby kommun"}, "listen": address}))
        first, _ = measure(config, address, settle=0)
        again, memory = measure(config, address, settle=SETTLE_SECONDS)
    print(f"first start, empty database: {first:.2f} s to the first page")
    print(f"start:                       {again:.2f} s to the first page (aim: 2)")
    print(f"idle memory:                 {sum(memory):.0f} MB in {len(memory)} processes, shared pages once (aim: 180)")
    return 0


def measure(config: Path, address: str, *, settle: float) -> tuple[float, list[float]]:
    """Seconds until a page came, and megabytes (PSS) of each process after ``settle`` seconds."""
    started = time.perf_counter()
    running = subprocess.Popen(
        [sys.executable, str(CLI), "--config", str(config), "run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not page_comes(f"http://{address}/login"):
            if running.poll() is not None or time.perf_counter() - started > 60:
                sys.exit("gensvar run did not start")
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        time.sleep(settle)
        family = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
        return seconds, [process.memory_full_info().pss / 1024**2 for process in family]
    finally:
        running.terminate()
        running.wait(30)


def page_comes(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as page:
            return bool(page.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(main())
