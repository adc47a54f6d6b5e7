"""One still image as uint8 RGB: any grey, palette, alpha or 16-bit picture, upright.

Knows image files. Knows nothing of videos or of masks (whose palette indices matter; they are read elsewhere).
"""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.errors import DAMAGE, VideoError
from engine.limits import PICTURE_FORMATS, PICTURE_PIXELS
from engine.types import UInt8Array

STILL_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
MAX_PIXELS = PICTURE_PIXELS
_DEEP_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})


def is_still(path: Path) -> bool:
    """Whether the name is that of an image file that `read_image` reads. Hidden files (`._1.jpg`) are not."""
    return path.suffix.lower() in STILL_SUFFIXES and not path.name.startswith(".")


def read_image(path: str | Path) -> UInt8Array:
    """The picture in `path`: uint8 (H, W, 3), RGB, turned upright by its EXIF orientation.

    Grey becomes three equal channels, alpha is composed over black, 16-bit values keep their high byte, the first
    picture of an animation is taken. Raises VideoError for a missing or damaged file, for more than MAX_PIXELS pixels
    (by the header, before decoding) and for floating-point or 32-bit images, whose range is not known.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=PICTURE_FORMATS) as image:
                _check_size(path, *image.size)
                ImageOps.exif_transpose(image, in_place=True)  # the other form copies what is upright already
                return _to_rgb(path, image)
    except Image.DecompressionBombError as error:
        raise _too_large(path, str(error)) from error
    except FileNotFoundError as error:
        raise VideoError(f"{path}: no such file", "check the path") from error
    except UnidentifiedImageError as error:
        raise VideoError(f"{path}: not an image, or damaged at its beginning", "export the image again") from error
    except VideoError:
        raise
    except (OSError, *DAMAGE) as error:
        raise VideoError(f"{path}: cannot be read ({error})", "check the file, or export the image again") from error


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_large(path, f"{width}x{height} pixels")


def _too_large(path: Path, size: str) -> VideoError:
    return VideoError(f"{path}: {size}, more than the limit of {MAX_PIXELS} pixels", "scale the image down first")


def _to_rgb(path: Path, image: Image.Image) -> UInt8Array:
    if image.mode in _DEEP_MODES:
        return _from_deep_grey(path, np.asarray(image))
    if image.mode == "F":
        raise VideoError(f"{path}: floating-point image", "export it with 8 or 16 bits a channel")
    if image.has_transparency_data:
        return over_black(np.asarray(image.convert("RGBA")))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _from_deep_grey(path: Path, values: np.ndarray) -> UInt8Array:
    if values.size and (int(values.min()) < 0 or int(values.max()) > 65535):
        raise VideoError(f"{path}: 32-bit grey values", "export it with 8 or 16 bits a channel")
    return np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2)


def over_black(rgba: UInt8Array) -> UInt8Array:
    """Straight alpha composed over black: uint8 (H, W, 4) -> uint8 (H, W, 3), rounded to nearest."""
    alpha = rgba[..., 3:]
    if alpha.min(initial=255) == 255:
        return np.ascontiguousarray(rgba[..., :3])
    return ((rgba[..., :3].astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)
