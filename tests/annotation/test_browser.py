"""People at the page, in a real browser: choose, accept, reject, mend, carry, undo, review, reload; a killed server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Hands, Served, chromium, needs_browser

from engine.masks import rle
from engine.rendering.demo_clip import TRACKS, DemoClip
from engine.store import StoreReader, StoreWriter
from engine.types import BoolArray
from engine.video import VideoWriter

pytestmark = needs_browser()
CLIP = DemoClip(192, 108, frames=6)
SIZE = (192, 108)
VAN, WHEEL = 1, 2


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Any, dict[int, BoolArray]]]:
    return list(CLIP.draw())


@pytest.fixture
def store(tmp_path: Path, drawn: list[tuple[Any, dict[int, BoolArray]]]) -> Path:
    """A video, and a store with van and wheel on all of its frames."""
    with VideoWriter(tmp_path / "clip.mp4", 12, *SIZE) as film:
        for image, _ in drawn:
            film.write(image)
    records = [rle.record(f, t, masks[t], 0.9) for f, (_, masks) in enumerate(drawn) for t in (VAN, WHEEL)]
    with StoreWriter(tmp_path / "tracks.h5") as writer:
        writer.add_clip("van", *SIZE, len(drawn), TRACKS[:2], records, "clip.mp4", 12)
    return tmp_path / "tracks.h5"


def opened(driver: Any, link: str) -> Hands:
    driver.get(link)
    hands = Hands(driver, SIZE)
    hands.wait(lambda: hands.look("return document.body.dataset.ready !== undefined"))
    return hands


def test_a_day_at_the_page(driver: Any, store: Path) -> None:
    with Served(store, "--model", "dis", "--annotator", "Anna") as served:
        hands = opened(driver, served.links["annotator"])
        accept_and_reject(hands)
        mend(hands)
        choose_a_new_track(hands)
        carry(hands)
        take_back(hands)
        reload(hands, driver)
        finish(hands)
        review(driver, served)
        assert not [line for line in hands.complaints() if "409" not in line]
        assert served.end() == 0
    with StoreReader(store) as reader:
        reviews = {track.name: track.review for track in reader.clip("van").tracks}
        assert reviews == {"van": "mended", "front-wheel": "rejected", "ground": ""}


def accept_and_reject(hands: Hands) -> None:
    hands.expect(track="van", frame="1 / 6", cell="not looked at", tracks=2)
    hands.keys("Space")
    hands.expect(frame="2 / 6", saved="✓ saved", counts="1 accepted, 5 left")
    hands.press("accept")
    hands.expect(frame="3 / 6", counts="2 accepted, 4 left")
    hands.keys("R")
    hands.expect(mending=True, cell="rejected, to be mended")


def mend(hands: Hands) -> None:
    """On frame 3, from nothing: a click, another of SAM's masks, a background point, brush, eraser, box."""
    hands.stroke((70, 76))
    hands.expect(candidates=3, saved="✓ saved", cell="mended")
    hands.keys("3")
    hands.wait(lambda: "true" in hands.look("return document.querySelectorAll('#candidates button')[2].ariaChecked"))
    hands.stroke((150, 20), button=2)
    hands.expect(candidates=3, answers=2, saved="✓ saved")
    hands.keys("W")
    hands.stroke((24, 60), (100, 104))
    hands.expect(candidates=3, answers=3, saved="✓ saved")
    before = area(hands)
    hands.keys("B")
    hands.stroke((20, 10), (90, 12), (160, 10))
    hands.wait(lambda: area(hands) > before + 1000)
    hands.keys("X")
    hands.stroke((20, 10), (90, 12), (160, 10))
    hands.wait(lambda: area(hands) < before + 600)
    hands.keys("Enter")
    hands.expect(mending=False, counts="2 accepted, 1 mended, 3 left")


def area(hands: Hands) -> int:
    """Pixels of the van's mask on frame 3, as the server has it."""
    found = hands.look(
        """const request = { method: 'POST', body: '{"index": 2}', headers: { 'X-Page': 'test-page' } };
        const answer = await (await fetch('/api/masks?clip=van', request)).json();
        return answer.masks.find((mask) => mask.track === 1).area"""
    )
    return int(found)


def choose_a_new_track(hands: Hands) -> None:
    """With keys alone: the cross is moved by arrows, Space points."""
    hands.keys("Alt+1", "Home")
    hands.expect(frame="1 / 6")
    hands.keys("N")
    hands.expect(mending=True)
    hands.keys("B", "]", "]", "Down", "Down", "Down", "Space", "Right", "Space")
    hands.write("new-name", "ground")
    hands.keys("Enter")
    hands.expect(mending=False, tracks=3, track="ground", counts="1 mended, 5 left")


def carry(hands: Hands) -> None:
    hands.keys("Tab")
    hands.press("carry-on")
    hands.expect(jobs=0, counts="1 mended, 5 left")
    hands.wait(lambda: "carried" in hands.look("return document.getElementById('log').textContent"))
    hands.keys("Right")
    hands.expect(frame="2 / 6", cell="not looked at")


def take_back(hands: Hands) -> None:
    hands.keys("Z")
    hands.expect(cell="no mask yet")
    hands.keys("Shift+Z")
    hands.expect(cell="not looked at")


def reload(hands: Hands, driver: Any) -> None:
    driver.refresh()
    hands.expect(track="ground", frame="2 / 6", tracks=3, cell="not looked at", counts="1 mended, 5 left")


def finish(hands: Hands) -> None:
    hands.keys("Alt+2", "Up", "Up")
    hands.expect(track="van")
    hands.keys("Shift+A")
    hands.expect(status="finished", counts="5 accepted, 1 mended")
    hands.keys("Down")
    hands.expect(track="front-wheel")
    hands.keys("D")
    hands.expect(status="rejected", saved="✓ saved")


def review(driver: Any, served: Served) -> None:
    """The supervisor's link in the same browser; the page before is gone, and its claim with it."""
    driver.get("about:blank")
    hands = opened(driver, served.links["supervisor"])
    hands.expect(reviewing=True, track="van")
    assert hands.look("return document.getElementById('plain').width > 100")
    hands.write("review-note", "the rim is cut off")
    hands.press("send-back")
    hands.expect(status="sent back", note="Sent back: “the rim is cut off” (frame 0)")
    hands.keys("Alt+2")
    hands.keys("Shift+A")
    hands.expect(status="finished")
    hands.keys("Alt+3")
    hands.press("approve")
    hands.expect(status="approved", saved="✓ saved")


def test_a_server_that_is_killed_loses_no_stroke(driver: Any, store: Path) -> None:
    with Served(store, "--model", "dis") as served:
        hands = opened(driver, served.links["annotator"])
        for done in (1, 2):
            hands.keys("Space")
            hands.expect(frame=f"{done + 1} / 6", counts=f"{done} accepted, {6 - done} left", saved="✓ saved")
        hands.keys("M", "B")
        hands.stroke((20, 10), (120, 12))
        hands.expect(counts="2 accepted, 1 mended, 3 left", saved="✓ saved")
        served.kill()
        hands.stroke((20, 30), (120, 32))
        hands.expect(saved="not saved")
        assert "Not saved: the server does not answer" in hands.text("toasts")
    with Served(store, "--model", "dis", "--port", served.port) as again:
        hands = opened(driver, again.links["annotator"])
        hands.expect(counts="2 accepted, 1 mended, 3 left")
        assert again.end() == 0
    with StoreReader(store) as reader:
        mask = reader.clip("van").mask(2, VAN)
        assert mask is not None and mask[10:13, 30:110].all(), "the first stroke is there"
        assert not mask[31, 30:50].any(), "the second one was never saved, and the page said so"


def test_every_control_has_a_name_and_text_stands_out(driver: Any, store: Path) -> None:
    with Served(store, "--model", "dis") as served:
        hands = opened(driver, served.links["annotator"])
        assert hands.look(NAMELESS) == []
        page = "document.documentElement.scrollWidth <= innerWidth && document.body.scrollHeight <= innerHeight"
        assert hands.look(f"return {page}"), "the page is larger than 1280x720"
        assert hands.look(CUT) == [], "words of buttons are cut at 1280x720"
        assert hands.look(CONTRAST) == []


NAMELESS = """
const named = (e) => e.ariaLabel || e.textContent.trim() || e.labels?.length || e.title;
return [...document.querySelectorAll('button, input, select, textarea, [tabindex]')]
  .filter((e) => e.offsetParent && !named(e)).map((e) => e.outerHTML);
"""
CUT = """
return [...document.querySelectorAll('button')]
  .filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1).map((e) => e.id);
"""
CONTRAST = """
const linear = (v) => v <= 0.03928 * 255 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const ground = (e) => {
  for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0.9) return c.slice(0, 3);
  }
  return [0, 0, 0];
};
const written = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
const found = [];
for (const e of document.querySelectorAll('button, span, p, h2, label, dt, dd, li, summary, figcaption')) {
  if (!e.offsetParent || e.disabled || !written(e)) continue;
  const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) found.push(`${e.tagName} ${e.id} ${e.textContent.trim().slice(0, 20)} ${ratio.toFixed(2)}`);
}
return found;
"""


def test_the_store_keeps_masks_that_nobody_touched(drawn: list[tuple[Any, dict[int, BoolArray]]], store: Path) -> None:
    with StoreReader(store) as reader:
        assert np.array_equal(reader.clip("van").mask(0, VAN), drawn[0][1][VAN])
