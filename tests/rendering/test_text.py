"""Words on images."""

import numpy as np

from engine.rendering.text import draw_text, shorten, text_size


def paper() -> np.ndarray:
    return np.zeros((60, 120, 3), np.uint8)


def test_words_stay_in_the_size_that_is_said() -> None:
    image = paper()
    draw_text(image, "gjpq|ÄÉ", 10, 5, 16, ink=(255, 255, 255), halo=(0, 255, 0))
    width, height = text_size("gjpq|ÄÉ", 16)
    rows, columns = np.nonzero(image.any(axis=2))
    assert rows.min() >= 5
    assert columns.min() >= 10
    assert rows.max() < 5 + height
    assert columns.max() < 10 + width


def test_the_halo_surrounds_the_letters() -> None:
    image = paper()
    draw_text(image, "o", 10, 5, 24, ink=(255, 0, 0), halo=(0, 0, 255))
    rows, columns = np.nonzero(image[..., 0] > 200)
    halo = image[..., 2] > 200
    assert halo[rows.min() - 2 : rows.min(), columns[0]].any()
    assert halo[(rows.min() + rows.max()) // 2, columns.min() - 2 : columns.min()].any()


def test_what_sticks_out_is_cut_off() -> None:
    image = paper()
    for x, y in ((-5, -5), (110, 50), (500, 500), (-500, 0)):
        draw_text(image, "word", x, y, 20)
    assert image.any()


def test_shorten() -> None:
    assert shorten("word", 14, 200) == "word"
    cut = shorten("a long name of a track", 14, 80)
    assert cut.endswith("…")
    assert text_size(cut, 14)[0] <= 80
    assert shorten("word", 14, 3) == ""
