"""Lists of scored masks, as the servers of COCO and YouTube-VIS take them: results without the videos they belong to.

An entry of YouTube-VIS has `video_id` and `segmentations`, one of COCO `image_id` and `segmentation`. Names, sizes and
frames are those of the document that the results belong to; without it videos are named by their number. Knows JSON.
"""

from typing import Any

from engine.errors import FormatError
from engine.store.formats import documents

Listed = dict[str, list[dict[str, Any]]]
"""The parts of a truth document that results lack: "videos", "images", "categories"."""


def kind_of(entries: list[Any]) -> str:
    """ "youtube-vis", "coco", or "" for a list of something else."""
    keys = set(entries[0]) if entries and isinstance(entries[0], dict) else set()
    if {"video_id", "segmentations"} <= keys:
        return "youtube-vis"
    return "coco" if {"image_id", "segmentation"} <= keys else ""


def completed(entries: list[Any], where: str, listed: Listed | None = None) -> dict[str, Any]:
    """The document of a list: its entries as annotations, the rest from the truth or made up from the entries."""
    annotations = documents.entries({"entries": entries}, "entries", where)
    if listed is not None:
        return {**listed, "annotations": annotations}
    made = _videos(annotations, where) if kind_of(entries) == "youtube-vis" else _images(annotations, where)
    return {**made, "annotations": annotations}


def _videos(annotations: list[dict[str, Any]], where: str) -> Listed:
    videos: dict[Any, dict[str, Any]] = {}
    for annotation in annotations:
        codes = documents.required(annotation, "segmentations", list, where)
        size = next((code["size"] for code in codes if isinstance(code, dict) and "size" in code), None)
        video = annotation.get("video_id")
        names = [f"{video}/{frame:05d}.jpg" for frame in range(len(codes))]
        if size is not None:
            videos.setdefault(
                video, {"id": video, "name": str(video), "height": size[0], "width": size[1], "file_names": names}
            )
    if len(videos) < len({annotation.get("video_id") for annotation in annotations}):
        raise FormatError(f"{where}: a video without any mask, so its size is unknown", "leave its entries out")
    return {"videos": list(videos.values())}


def _images(annotations: list[dict[str, Any]], where: str) -> Listed:
    images: dict[Any, dict[str, Any]] = {}
    for annotation in annotations:
        code = annotation.get("segmentation")
        size = code.get("size") if isinstance(code, dict) else None
        if not isinstance(size, list) or len(size) != 2:
            raise FormatError(f"{where}: a mask without size", "run lengths with their size are expected")
        image = annotation.get("image_id")
        images.setdefault(image, {"id": image, "height": size[0], "width": size[1], "file_name": f"{image}.jpg"})
    return {"images": list(images.values())}
