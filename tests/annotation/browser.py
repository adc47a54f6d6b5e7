"""A headless browser, and a served project to point it at; tests skip with the reason where there is no browser."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 240
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def why_no_browser() -> str:
    """Why browser tests cannot run here; empty if they can."""
    if not any(map(shutil.which, NAMES)):
        return "no Chromium here: apt install chromium chromium-driver"
    return "" if shutil.which("chromedriver") else "no chromedriver here: apt install chromium-driver"


@contextmanager
def chromium(width: int = 1280, height: int = 720) -> Iterator[Any]:
    """A browser whose page has exactly that size. Nothing it does leaves the machine."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, NAMES)))
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--force-device-scale-factor=1"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(PATIENCE)
    try:
        driver.set_window_size(width, height)
        inner = driver.execute_script("return [innerWidth, innerHeight]")
        driver.set_window_size(2 * width - inner[0], 2 * height - inner[1])
        yield driver
    finally:
        driver.quit()


class Served:
    """`mugvos annotate` as a process of its own; gone when the context is left."""

    def __init__(self, store: Path, *more: str) -> None:
        command = [sys.executable, "-m", "mugvos_cli.main", "annotate", str(store), "--no-browser", *more]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(2)]
        found = dict(re.findall(r"(annotator|supervisor): (\S+)", "".join(lines)))
        if len(found) != 2:
            raise AssertionError(self.process.communicate(timeout=60))
        self.links: dict[str, str] = found

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *given: object) -> None:
        if self.process.poll() is None:
            self.kill()

    @property
    def port(self) -> str:
        """Where it listens."""
        return self.links["annotator"].split(":")[2].split("/")[0]

    def kill(self) -> None:
        """Without a chance to write anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=60)

    def end(self) -> int:
        """As Ctrl-C does; the exit status."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        return self.process.returncode


class Hands:
    """What a person does with a page: keys, clicks at places of the frame, buttons, looking."""

    def __init__(self, driver: Any, size: tuple[int, int]) -> None:
        self.driver, self.size = driver, size

    def keys(self, *names: str) -> None:
        """Keys one after the other; "Shift+A" holds Shift."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        for name in names:
            self.see()
            chain, held = ActionChains(self.driver, duration=0), []
            *mods, last = name.split("+") if len(name) > 1 else [name]
            for mod in mods:
                held.append({"Shift": Keys.SHIFT, "Ctrl": Keys.CONTROL, "Alt": Keys.ALT}[mod])
                chain.key_down(held[-1])
            key = {"Space": " "}.get(last) or (last.lower() if len(last) == 1 else getattr(Keys, last.upper()))
            chain.send_keys(key)
            for mod in held:
                chain.key_up(mod)
            chain.perform()

    def stroke(self, *places: tuple[float, float], button: int = 0) -> None:
        """Press at the first place of the frame, go over the others, let go at the last."""
        from selenium.webdriver.common.action_chains import ActionChains

        self.see()
        left, top, w, h = self.look(
            "const r = document.getElementById('main').getBoundingClientRect();"
            "return [r.left, r.top, r.width, r.height]"
        )
        scale = min(w / self.size[0], h / self.size[1])
        x0, y0 = left + (w - self.size[0] * scale) / 2, top + (h - self.size[1] * scale) / 2
        chain = ActionChains(self.driver, duration=20)
        pointer = chain.w3c_actions.pointer_action
        for at, (x, y) in enumerate(places):
            pointer.move_to_location(round(x0 + x * scale), round(y0 + y * scale))
            if at == 0:
                pointer.pointer_down(button=button)
        pointer.pointer_up(button=button)
        chain.perform()

    def see(self) -> None:
        """Wait until the frame that was asked for is on the page, as people do: what is not seen is not judged."""
        self.wait(lambda: self.look("return document.body.dataset.drawn === document.getElementById('scrub').value"))

    def press(self, name: str) -> None:
        """A button of the page, by its id."""
        self.see()
        self.driver.find_element("id", name).click()

    def write(self, name: str, text: str) -> None:
        """Text into a field, by its id."""
        self.driver.find_element("id", name).send_keys(text)

    def text(self, name: str) -> str:
        """What is written somewhere."""
        return str(self.driver.find_element("id", name).text)

    def look(self, script: str, *given: Any) -> Any:
        """What a script finds."""
        return self.driver.execute_script(script, *given)

    def wait(self, what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Until something holds; what it is."""
        end = time.monotonic() + seconds
        while not (found := what()):
            if time.monotonic() > end:
                raise AssertionError(f"did not happen; the page says {self.text('toasts')!r}")
            time.sleep(0.05)
        return found

    def state(self) -> dict[str, Any]:
        """What the page shows, in short."""
        found: dict[str, Any] = self.look(_STATE)
        return found

    def expect(self, **wanted: Any) -> None:
        """Wait until the page shows this."""

        def same() -> bool:
            found = self.state()
            return all(found[key] == value for key, value in wanted.items())

        try:
            self.wait(same)
        except AssertionError as error:
            raise AssertionError(f"wanted {wanted}, the page shows {self.state()}; {error}") from None

    def complaints(self) -> list[str]:
        """Errors that the browser noted."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


_STATE = """
const find = (id) => document.getElementById(id);
const count = (selector) => document.querySelectorAll(selector).length;
return {
  frame: find('frame-label').textContent, saved: find('saved').textContent, cell: find('cell-state').textContent,
  track: find('track-name').value, status: find('track-status').textContent, counts: find('track-counts').textContent,
  note: find('track-note').textContent, spinning: !find('spinner').hidden,
  mending: !find('mending').hidden, reviewing: !find('reviewing').hidden,
  answers: +(find('candidates').dataset.answers || 0), candidates: count('#candidates button'),
  tracks: count('#track-list li'), jobs: count('.job.running, .job.waiting'),
};
"""


def needs_browser() -> pytest.MarkDecorator:
    """Skips where there is none."""
    reason = why_no_browser()
    return pytest.mark.skipif(bool(reason), reason=reason)
