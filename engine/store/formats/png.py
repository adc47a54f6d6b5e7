"""One mask image: what kind of picture it is, and its values with palette indices kept.

Knows files and Pillow (OpenCV and imageio expand palettes and lose the ids). Knows nothing of folders.
"""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.errors import DAMAGE, FormatError, MaskError, MugvosError
from engine.limits import MASK_PIXELS, PICTURE_FORMATS
from engine.masks.labels import PixelKind, split_labels
from engine.store.formats.flat_png import read_flat
from engine.store.schema import plausible
from engine.types import BoolArray, UInt8Array

_GREY_16 = {"I", "I;16", "I;16L", "I;16B", "I;16N"}
_DECODING = (OSError, *DAMAGE, Image.DecompressionBombError)
_EXPORT = "export it as an 8-bit grey, palette or 1-bit PNG"


def read_values(path: Path) -> tuple[UInt8Array, PixelKind]:
    """The values of an 8-bit grey, palette or 1-bit image, uint8 (H, W), and which of these it is.

    Raises FormatError for a file that is missing, damaged or too large, and for colour or 16-bit images.
    """
    flat = read_flat(path)
    if flat is not None:
        return flat
    with _OpenedImage(path, FormatError) as image:
        if image.mode == "1":
            return np.asarray(image).astype(np.uint8), "binary"
        if image.mode == "P":
            return np.array(image), "palette"
        if image.mode == "L":
            return np.array(image), "grey"
        if image.mode in _GREY_16:
            raise FormatError(f"{path}: a mask image with 16 bits a pixel", _EXPORT)
        raise FormatError(f"{path}: a mask image with colour ({image.mode})", _colour_hint(image))


def read_binary(path: Path) -> tuple[BoolArray, bool]:
    """One PNG as one mask, bool (H, W), and whether its edges are smoothed (grey values besides 0 and one other).

    1-bit and palette: any value but 0; grey: any value but 0 if there is only one, else above 127.
    """
    values, kind = read_values(path)
    if kind != "grey":
        return values != 0, False
    found = values != 0
    several = np.count_nonzero(found) != np.count_nonzero(values == values.max())
    return (values > 127, True) if several and found.any() else (found, False)


def image_size(path: Path) -> tuple[int, int]:
    """Height and width from the header. Raises FormatError for a file that is no image or too large."""
    with _OpenedImage(path, FormatError, load=False) as image:
        return image.height, image.width


def read_mask_image(path: str | Path, binarize: bool = False) -> dict[int, BoolArray]:
    """The objects of a mask image given as a prompt: label -> bool (H, W), labels ascending, 0 is background.

    Understands 0/255, 0/1, 1-bit, palette, label maps in 8 or 16 bit, grey stored as RGB, and cut-outs (transparent
    means background); turned upright after EXIF. `binarize` cuts a smoothed mask at half and gives one object, 1.
    Raises MaskError for colour, smoothed edges, an empty mask, more than 255 labels, a file that is no image.
    """
    path = Path(path)
    with _OpenedImage(path, MaskError) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode == "1":
            return split_labels(np.asarray(upright).astype(np.uint8), "binary", str(path), binarize)
        if upright.mode == "P":
            return split_labels(np.array(upright), "palette", str(path), binarize)
        return split_labels(_grey(upright, path), "grey", str(path), binarize)


def _colour_hint(image: Image.Image) -> str:
    """What to do about a colour image; few flat colours are the expanded palette of a label image."""
    colours = image.convert("RGB").getcolors(256)
    if colours is None:
        return _EXPORT
    return (
        f"its {len(colours)} colours look like a palette that OpenCV or imageio expanded, which loses the ids; "
        "save the ids themselves (Pillow, mode P or L)"
    )


def _grey(image: Image.Image, path: Path) -> np.ndarray:
    """Integer (H, W) of any non-palette image. Raises MaskError where its channels are not equal."""
    if image.mode == "F":
        raise MaskError(f"{path}: a mask of floating-point values", _EXPORT)
    if image.mode == "L" or image.mode in _GREY_16:
        return np.array(image).astype(np.int64)
    channels = np.array(image.convert("RGBA"))
    red, alpha = channels[..., 0], channels[..., 3]
    if not (np.array_equal(red, channels[..., 1]) and np.array_equal(red, channels[..., 2])):
        raise MaskError(f"{path}: a colour image, not a mask", f"{_EXPORT}, one value per object")
    visible = alpha > 0
    if not visible.all() and len(np.unique(red[visible])) <= 1:
        return alpha.astype(np.int64)
    return np.where(visible, red, 0).astype(np.int64)


class _OpenedImage:
    """Pillow's image of a path, decoded; its many kinds of failure become one error of the given class."""

    def __init__(self, path: Path, error: type[MugvosError], load: bool = True) -> None:
        self._path, self._error, self._load = path, error, load

    def __enter__(self) -> Image.Image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._image = Image.open(self._path, formats=PICTURE_FORMATS)
        except (FileNotFoundError, IsADirectoryError):
            raise self._error(f"{self._path}: no such image file", "check the name") from None
        except UnidentifiedImageError:
            raise self._error(f"{self._path}: is no image that can be read", "name a PNG") from None
        except Image.DecompressionBombError:
            raise self._too_large() from None
        except (OSError, *DAMAGE) as error:
            raise self._damaged(error) from error
        if not plausible(self._image.height, self._image.width):
            self._image.close()
            raise self._too_large()
        if self._load:
            self._decode()
        return self._image

    def __exit__(self, *unused: object) -> None:
        self._image.close()

    def _decode(self) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._image.load()
        except _DECODING as error:
            self._image.close()
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> MugvosError:
        return self._error(f"{self._path}: the image is damaged ({error})", "write it again from its source")

    def _too_large(self) -> MugvosError:
        return self._error(f"{self._path}: the image is too large (over {MASK_PIXELS} pixels)", "check what it is")
