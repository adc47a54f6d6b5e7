"""One picture as a file that appears whole or not at all."""

from pathlib import Path

from PIL import Image

from engine.errors import OutputError
from engine.store import atomic
from engine.store.spool import writing
from engine.types import UInt8Array

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_LONGEST = {"PNG": 2**31 - 1, "JPEG": 65_500, "WEBP": 16_383}


def write_picture(image: UInt8Array, path: Path) -> None:
    """Write uint8 (H, W, 3) to `path` in the format of its suffix, replacing what is there.

    Raises OutputError where it cannot be written or is larger than the format allows.
    """
    form = _FORMATS[path.suffix.lower()]
    if max(image.shape) > _LONGEST[form]:
        raise OutputError(f"{path}: {image.shape[1]}x{image.shape[0]} is too large for {form}", "write a .png")
    temporary = atomic.temporary_beside(path)
    try:
        with writing(path):
            Image.fromarray(image).save(temporary, format=form, quality=92)
        atomic.publish(temporary, path)
    finally:
        atomic.remove(temporary)
