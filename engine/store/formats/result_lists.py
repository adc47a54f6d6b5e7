"""Lists of scored masks, as the servers of COCO and YouTube-VIS take them: results without the videos they belong to.

An entry of YouTube-VIS has `video_id` and `segmentations`, one of COCO `image_id` and `segmentation`. Names, sizes and
frames are those of the document that the results belong to; without it videos are named by their number. Knows JSON.
"""

from typing import Any

from engine.errors import FormatError

Listed = dict[str, list[dict[str, Any]]]
"""The parts of a truth document that results lack: "videos", "images", "categories"."""


def kind_of(keys: set[str]) -> str:
    """ "youtube-vis", "coco", or "" by the keys of an entry."""
    if {"video_id", "segmentations"} <= keys:
        return "youtube-vis"
    return "coco" if {"image_id", "segmentation"} <= keys else ""


def add_image(images: dict[Any, dict[str, Any]], entry: dict[str, Any], where: str) -> None:
    """Make up the image of an entry from the size of its mask."""
    code, image = entry.get("segmentation"), entry.get("image_id")
    size = code.get("size") if isinstance(code, dict) else None
    if not isinstance(size, list) or len(size) != 2:
        raise FormatError(f"{where}: a mask without size", "run lengths with their size are expected")
    images.setdefault(image, {"id": image, "height": size[0], "width": size[1], "file_name": f"{image}.jpg"})


def made_up_video(video: Any, size: list[Any], length: int) -> dict[str, Any]:
    """The video of entries that nothing else is known of."""
    names = [f"{video}/{frame:05d}.jpg" for frame in range(length)]
    return {"id": video, "name": str(video), "height": size[0], "width": size[1], "file_names": names}
