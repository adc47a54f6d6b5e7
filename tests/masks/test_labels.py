"""What a mask image means: kinds of values, and telling smoothed edges from labels."""

import cv2
import numpy as np
import pytest

from engine.errors import MaskError
from engine.masks.labels import split_labels


def disc(line: int = cv2.LINE_8, shape: tuple[int, int] = (120, 160)) -> np.ndarray:
    image = np.zeros(shape, np.uint8)
    cv2.circle(image, (80, 60), 40, 255, -1, line)
    return image


def rectangle() -> np.ndarray:
    image = np.zeros((120, 160), np.uint8)
    image[30:80, 40:120] = 255
    return image


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)


def thin_polygon_aa() -> np.ndarray:
    image = np.zeros((120, 160), np.uint8)
    cv2.line(image, (10, 10), (150, 100), 255, 3, cv2.LINE_AA)
    return image


SMOOTHED = {
    "anti-aliased disc": disc(cv2.LINE_AA),
    "anti-aliased line": thin_polygon_aa(),
    "blurred disc": cv2.GaussianBlur(disc(), (0, 0), 1),
    "blurred rectangle": cv2.GaussianBlur(rectangle(), (3, 3), 0),
    "widely blurred rectangle": cv2.GaussianBlur(rectangle(), (0, 0), 8),
    "halved": cv2.resize(disc(shape=(121, 161)), (80, 60), interpolation=cv2.INTER_AREA),
    "enlarged": cv2.resize(disc(), (400, 300), interpolation=cv2.INTER_LINEAR),
    "enlarged, cubic": cv2.resize(disc(), (400, 300), interpolation=cv2.INTER_CUBIC),
    "JPEG 95": jpeg(disc(), 95),
    "JPEG 75": jpeg(disc(), 75),
    "JPEG 30": jpeg(rectangle()[3:, 5:], 30),
    "blurred 0/1 times 128": cv2.GaussianBlur(disc() // 2, (5, 5), 0),
    "blurred label map": cv2.GaussianBlur(
        np.kron(np.arange(9).reshape(3, 3) * 25, np.ones((30, 30))).astype(np.uint8), (5, 5), 0
    ),
}


@pytest.mark.parametrize("case", SMOOTHED)
def test_smoothed_masks_are_refused_unless_binarized(case: str) -> None:
    image = SMOOTHED[case]
    with pytest.raises(MaskError, match=r"m\.png: \d+ grey values.*--binarize"):
        split_labels(image, "grey", "m.png")
    found = split_labels(image, "grey", "m.png", binarize=True)
    assert list(found) == [1]
    assert np.array_equal(found[1], image > image.max() // 2)


def grid(count: int, size: int, first: int = 1, step: int = 1, dtype: type = np.uint8) -> np.ndarray:
    side = int(np.ceil(np.sqrt(count)))
    values = np.zeros(side * side, dtype)
    values[:count] = first + step * np.arange(count)
    return np.kron(values.reshape(side, side), np.ones((size, size), dtype))


def voronoi(count: int) -> np.ndarray:
    rng = np.random.default_rng(count)
    points = rng.random((count, 2)) * (120, 160)
    y, x = np.mgrid[:120, :160]
    return (1 + np.argmin((y - points[:, 0, None, None]) ** 2 + (x - points[:, 1, None, None]) ** 2, 0)).astype(
        np.uint8
    )


def specks(count: int, background: int = 0) -> np.ndarray:
    image = np.full((120, 160), background, np.uint8)
    for label in range(1, count + 1):
        image[4 + 4 * (label % 25), 4 + 6 * (label // 25)] = label
    return image


def nested() -> np.ndarray:
    image = np.zeros((120, 160), np.uint8)
    for label, radius in enumerate((50, 40, 30, 20, 10), 1):
        cv2.circle(image, (80, 60), radius, label, -1)
    return image


LABELLED = {
    **{f"{count} labels in a grid": grid(count, 8) for count in (3, 7, 24, 25, 40, 200)},
    **{f"{count} labels, spread": grid(count, 8, step=6) for count in (3, 7, 40)},
    **{f"{count} labels side by side": voronoi(count) for count in (3, 12, 40, 120)},
    "one-pixel labels": specks(100),
    "one-pixel labels on an object": specks(40, background=120),
    "nested labels": nested(),
    "object with a rim": np.where(disc() > 0, 2, 0).astype(np.uint8) - (cv2.erode(disc(), np.ones((3, 3))) != disc()),
    "thin lines": np.where(np.arange(100)[:, None] % 10 == 0, np.arange(100)[:, None], 0)
    .repeat(50, 1)
    .astype(np.uint8),
}


@pytest.mark.parametrize("case", LABELLED)
def test_label_maps_are_understood(case: str) -> None:
    image = LABELLED[case]
    found = split_labels(image, "grey", "m.png")
    assert list(found) == [int(v) for v in np.unique(image) if v]
    assert all(np.array_equal(mask, image == label) for label, mask in found.items())


@pytest.mark.parametrize("top", [1, 2, 255])
def test_two_valued_masks_are_one_object(top: int) -> None:
    image = (disc() > 0).astype(np.uint8) * top
    assert np.array_equal(split_labels(image, "grey", "m.png")[top], disc() > 0)


def test_too_many_labels() -> None:
    with pytest.raises(MaskError, match=r"m\.png: 300 different labels, at most 255"):
        split_labels(grid(300, 6, dtype=np.uint16), "grey", "m.png")


def test_empty_and_wrong_axes() -> None:
    with pytest.raises(MaskError, match="empty"):
        split_labels(np.zeros((4, 4), np.uint8), "grey", "m.png")
    with pytest.raises(MaskError, match="3 axes"):
        split_labels(np.zeros((4, 4, 3), np.uint8), "grey", "m.png")


def test_palette_values_are_never_taken_for_smoothing() -> None:
    assert len(split_labels(disc(cv2.LINE_AA), "palette", "m.png")) > 3
