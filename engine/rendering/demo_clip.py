"""A drawn clip with exact masks at several granularities: a van, its front wheel, its shadow, the road.

The van drives past a post that hides a part of it, over a landscape that pans. Everything is drawn with numpy and
OpenCV from one seed, so the clip can be made anywhere, offline. Knows nothing of files.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from engine.types import BoolArray, Track, UInt8Array

TRACKS = (
    Track(1, "van"),
    Track(2, "front-wheel", parent=1, level=1),
    Track(3, "shadow"),
    Track(4, "road"),
)


@dataclass(frozen=True)
class DemoClip:
    """Sizes in pixels, `frames` in number. The same values give the same clip."""

    width: int = 640
    height: int = 360
    frames: int = 48
    seed: int = 7

    def draw(self) -> Iterator[tuple[UInt8Array, dict[int, BoolArray]]]:
        """Frames uint8 (H, W, 3) and the visible part of every track of TRACKS, bool (H, W), by track id."""
        scenery = _Scenery(self)
        for index in range(self.frames):
            yield scenery.frame(index)


class _Scenery:
    """The textures, made once, and where things are in a frame."""

    def __init__(self, clip: DemoClip) -> None:
        self._clip = clip
        noise = np.random.default_rng(clip.seed)
        wide = (clip.height, clip.width + 4 * clip.frames)
        self._sky = _texture(noise, wide, (196, 214, 235), 10)
        self._hills = _texture(noise, wide, (96, 128, 74), 34)
        self._road = _texture(noise, wide, (118, 114, 110), 22)
        self._paint = _texture(noise, (clip.height, clip.width), (196, 62, 48), 16)
        self._ridge = _ridge(noise, wide[1], clip.height)

    def frame(self, index: int) -> tuple[UInt8Array, dict[int, BoolArray]]:
        """One frame and its visible masks."""
        clip = self._clip
        pan = 2 * index
        view = slice(pan, pan + clip.width)
        rows = np.arange(clip.height)[:, None]
        road = np.broadcast_to(rows > 0.66 * clip.height, (clip.height, clip.width))
        image = np.where((rows > self._ridge[None, view])[..., None], self._hills[:, view], self._sky[:, view])
        image = np.where(road[..., None], self._road[:, view], image).astype(np.uint8)
        scale = clip.height / 360 * (1 + 0.15 * index / clip.frames)
        x = int(clip.width * (0.2 + 0.55 * index / clip.frames))
        y = int(clip.height * 0.74 + 3 * np.sin(0.5 * index))
        shadow = _ellipse(image.shape, (x, int(clip.height * 0.86)), (int(100 * scale), int(14 * scale)))
        image[shadow] = (0.45 * image[shadow]).astype(np.uint8)
        body, front = self._van(image, x, y, scale, turn=0.35 * index)
        post = self._post(image, int(clip.width * 0.58) - pan)
        van = body & ~post
        masks = {1: van, 2: front & ~post, 3: shadow & ~body & ~post, 4: road & ~shadow & ~body & ~post}
        return image, masks

    def _van(self, image: UInt8Array, x: int, y: int, scale: float, turn: float) -> tuple[BoolArray, BoolArray]:
        """Draw the van with its centre at (x, y); its mask and that of its front wheel."""
        outline = np.array([(-90, 20), (-90, -42), (40, -42), (66, -12), (92, -6), (92, 20)])
        body = _polygon(image.shape, outline, x, y, scale)
        image[body] = self._paint[body]
        window = _polygon(image.shape, np.array([(18, -34), (36, -34), (56, -12), (18, -12)]), x, y, scale)
        image[window] = (170, 205, 225)
        wheels = [self._wheel(image, x + int(dx * scale), y + int(20 * scale), scale, turn) for dx in (-52, 54)]
        return body | wheels[0] | wheels[1], wheels[1]

    def _wheel(self, image: UInt8Array, x: int, y: int, scale: float, turn: float) -> BoolArray:
        radius = int(21 * scale)
        tyre = _ellipse(image.shape, (x, y), (radius, radius))
        rim = _ellipse(image.shape, (x, y), (int(0.6 * radius), int(0.6 * radius)))
        image[tyre] = (34, 34, 38)
        image[rim] = (186, 188, 192)
        for spoke in range(5):
            angle = turn + 2 * np.pi * spoke / 5
            end = (int(x + 0.55 * radius * np.cos(angle)), int(y + 0.55 * radius * np.sin(angle)))
            cv2.line(image, (x, y), end, (70, 70, 76), max(1, int(2 * scale)))
        return tyre

    def _post(self, image: UInt8Array, x: int) -> BoolArray:
        clip = self._clip
        post = np.zeros(image.shape[:2], np.bool_)
        width = max(3, clip.width // 64)
        post[int(0.12 * clip.height) : int(0.95 * clip.height), max(x, 0) : max(x + width, 0)] = True
        image[post] = (72, 60, 52)
        return post


def _texture(
    noise: np.random.Generator, size: tuple[int, int], colour: tuple[int, int, int], contrast: float
) -> UInt8Array:
    """Three octaves of smooth noise around a colour, uint8 (*size, 3)."""
    picture = np.zeros((*size, 3), np.float32) + np.array(colour, np.float32)
    for cells in (8, 32, 128):
        coarse = noise.standard_normal((cells * size[0] // 360 + 2, cells * size[1] // 360 + 2, 1)).astype(np.float32)
        picture += contrast * cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)[..., None] / 2
    return np.clip(picture, 0, 255).astype(np.uint8)


def _ridge(noise: np.random.Generator, width: int, height: int) -> np.ndarray:
    """The row of the horizon in every column."""
    coarse = noise.uniform(0.32, 0.52, (1, width // 60 + 2)).astype(np.float32)
    return cv2.resize(coarse, (width, 1), interpolation=cv2.INTER_CUBIC)[0] * height


def _polygon(shape: tuple[int, ...], points: np.ndarray, x: int, y: int, scale: float) -> BoolArray:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [(points * scale + (x, y)).astype(np.int32)], 1)
    return mask.astype(np.bool_)


def _ellipse(shape: tuple[int, ...], centre: tuple[int, int], axes: tuple[int, int]) -> BoolArray:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
    return mask.astype(np.bool_)
