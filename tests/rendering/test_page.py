"""The pieces of a page: nothing is fetched, text is escaped, failures stay to be seen."""

import base64
import io
import re

import numpy as np
from PIL import Image

from engine.rendering import page


def test_nothing_is_fetched() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    chart = page.line_chart("t", [page.Series("J", [0, 1], [0, 1], "#000000")])
    whole = page.document("title", [page.picture(image, "p"), chart, page.table(["a"], [[1]])])
    assert whole.startswith("<!doctype html>")
    assert not re.search(r"(?:src|href)=\"(?!data:)", whole) and "@import" not in whole and "url(" not in whole


def test_text_is_escaped() -> None:
    parts = [page.heading("<a>"), page.paragraph("<a>"), page.table(["<a>"], [["<a>"]]), page.key([("<a>", "#fff")])]
    parts += [page.picture(np.zeros((2, 2, 3), np.uint8), '<a "b">'), page.line_chart("<a>", [])]
    assert all("<a" not in part.replace("&lt;a", "") for part in parts)
    assert '"b"' not in parts[4]


def test_an_error_picture_tells_right_wrong_and_missed_apart() -> None:
    P, G = np.array([[1, 1, 0, 0]], bool), np.array([[1, 0, 1, 0]], bool)
    found = [tuple(colour) for colour in page.error_picture(P, G)[0].tolist()]
    assert found[:3] == [page.RIGHT, page.TOO_MUCH, page.MISSED] and len(set(found)) == 4


def test_pictures_are_kept_inside_and_at_most_640_wide() -> None:
    html = page.picture(np.full((200, 1280, 3), 90, np.uint8), "wide")
    data = re.search(r"base64,([^\"]+)", html)
    assert data is not None
    assert Image.open(io.BytesIO(base64.b64decode(data[1]))).size == (640, 100)


def test_a_failure_of_one_frame_stays_in_a_long_chart() -> None:
    values = np.ones(20_000)
    values[12_345] = 0
    chart = page.line_chart("long", [page.Series("J", range(20_000), values.tolist(), "#000")], height=116)
    points = re.search(r'points="([^"]+)"', chart)
    assert points is not None
    heights = [float(point.split(",")[1]) for point in points[1].split()]
    assert len(heights) <= 400 and max(heights) == 100.0 and sorted(heights)[-2] == 16.0


def test_charts_of_one_frame_and_of_none() -> None:
    assert "polyline" in page.line_chart("one", [page.Series("J", [7], [0.5], "#000")])
    assert "polyline" not in page.line_chart("none", [])
