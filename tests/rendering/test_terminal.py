"""Previews in the terminal."""

import re

import numpy as np

from engine.rendering.terminal import RAMP, grey_letters, half_blocks


def test_two_pixels_a_character() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[0] = (255, 0, 10)
    image[1] = (1, 2, 3)
    assert half_blocks(image, columns=2) == "\x1b[38;2;255;0;10;48;2;1;2;3m▀" * 2 + "\x1b[0m"


def test_size_follows_the_proportions_of_the_image() -> None:
    image = np.zeros((480, 854, 3), np.uint8)
    for text in (half_blocks(image, 80), grey_letters(image, 80)):
        lines = re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n")
        assert len(lines) == 22
        assert {len(line) for line in lines} == {80}


def test_letters_without_colour_follow_brightness() -> None:
    ramp = np.repeat(np.linspace(0, 255, 10).astype(np.uint8)[None, :, None], 3, axis=2)
    text = grey_letters(np.repeat(ramp, 2, axis=0), columns=10)
    assert text[0] == RAMP[0]
    assert text[-1] == RAMP[-1]
    assert "\x1b" not in text
    assert sorted(text, key=RAMP.index) == list(text)


def test_tiny_images_and_widths() -> None:
    assert half_blocks(np.zeros((1, 1, 3), np.uint8), columns=0).count("▀") == 1
    assert len(grey_letters(np.zeros((1, 500, 3), np.uint8), columns=8)) == 8
