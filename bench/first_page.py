"""What the first page costs a browser: bytes over the wire, and when it answers a key on a slow machine.

Starts ``gensvar run`` with sixty cases, opens the inbox in Chromium with an empty cache, full speed and slowed four
times. "answers" is when the first press of ``j`` has marked a row: the page tries every 20 ms from the start on.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml
from playwright.sync_api import Browser, sync_playwright

from bench.idle import CLI, page_comes
from tests.chromium import launch

CASES = 60
ROUNDS = 5
WHO, PASSWORD = "anna@storby.example", "korrekt häst batteri"
TEXTS = (
    "Plogen har inte varit på Björkvägen på tre dagar. Min mamma kommer inte ut med rullatorn. När kommer ni?",
    "Er strømmen snart tilbake i Fjellveien? Har to små hjemme og det begynner å bli kaldt.",
    "Tusen takk til bibliotekaren på filialen som hjalp meg med skattemeldinga i dag!",
    "Why is the form for building permits only saying error 500? I have tried for two days now.",
)
PRESS = """() => { const began = () => document.querySelector('.row[aria-current="true"]');
  const again = setInterval(() => {
    const pressed = new KeyboardEvent('keydown', { key: 'j', bubbles: true });
    if (document.querySelector('.row')) document.body.dispatchEvent(pressed);
    if (began()) { window.answered = performance.now(); clearInterval(again); } }, 20); }"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        config = Path(folder) / "config.yaml"
        config.write_text(yaml.safe_dump({"organisation": {"name": "Storby kommun"}, "listen": address}))
        gensvar(config, "migrate")
        gensvar(config, "user", "add", WHO, "--name", "Anna", "--role", "agent", "--password-stdin", typed=PASSWORD)
        token = gensvar(config, "token", "create", WHO, "--name", "bench").strip()
        running = subprocess.Popen(
            [sys.executable, str(CLI), "--config", str(config), "run"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while not page_comes(f"http://{address}/login"):
                time.sleep(0.05)
            for number in range(CASES):
                mention(f"http://{address}", token, number)
            measure(f"http://{address}")
        finally:
            running.terminate()
            running.wait(30)
    return 0


def gensvar(config: Path, *words: str, typed: str | None = None) -> str:
    """One command of Gensvar, and what it prints."""
    given = [sys.executable, str(CLI), "--config", str(config), *words]
    return subprocess.run(given, input=typed, capture_output=True, text=True, check=True).stdout


def mention(base: str, token: str, number: int) -> None:
    body = {"external_id": str(number), "author": {"name": f"Citizen {number}"}, "text": TEXTS[number % len(TEXTS)]}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{base}/api/v1/mentions", json.dumps(body).encode(), headers)
    urllib.request.urlopen(asked, timeout=30).close()


def measure(base: str) -> None:
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        for slower in (1, 4):
            rounds = [visit(chromium, base, slower) for _ in range(ROUNDS)]
            if slower == 1:
                weigh(rounds[0]["bytes"])
            middle = {name: statistics.median(each[name] for each in rounds) for name in ("paint", "loaded", "answers")}
            print(f"processor slowed {slower}×:  " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in middle.items()))
        chromium.close()
    print(f"(median of {ROUNDS}; {os.cpu_count()} cores, server and browser on the same machine)")


def visit(chromium: Browser, base: str, slower: int) -> dict[str, Any]:
    """The inbox with an empty cache."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(f"{base}/login")
    page.get_by_label("E-mail").fill(WHO)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{base}/")
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
    wire.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    asked: dict[str, str] = {}
    taken: defaultdict[str, int] = defaultdict(int)
    wire.on("Network.responseReceived", lambda told: asked.update({told["requestId"]: told["response"]["url"]}))
    wire.on("Network.loadingFinished", lambda told: add(taken, asked, told))
    page.add_init_script(f"({PRESS})()")
    page.evaluate("sessionStorage.clear()")
    page.goto(f"{base}/")
    page.wait_for_function("window.answered", timeout=60_000)
    page.wait_for_timeout(300)
    times = page.evaluate("""() => { const page = performance.getEntriesByType('navigation')[0];
      const paint = performance.getEntriesByName('first-contentful-paint')[0];
      return { paint: paint ? paint.startTime : 0, loaded: page.loadEventEnd, answers: window.answered }; }""")
    context.close()
    return {**times, "bytes": dict(taken)}


def add(taken: defaultdict[str, int], asked: dict[str, str], told: dict[str, Any]) -> None:
    url = asked.get(told["requestId"], "")
    if "/live" not in url:
        taken[url.partition("?")[0].partition("//")[2].partition("/")[2] or "the page"] += int(
            told["encodedDataLength"]
        )


def weigh(taken: dict[str, int]) -> None:
    for name, size in sorted(taken.items(), key=lambda each: -each[1]):
        print(f"{size / 1024:8.1f} KiB  {name}")
    print(f"{sum(taken.values()) / 1024:8.1f} KiB  in {len(taken)} answers, headers included (aim: 120)")


if __name__ == "__main__":
    sys.exit(main())
