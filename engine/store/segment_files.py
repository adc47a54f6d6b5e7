"""One segment of a resumable run: the records of some frames as one NPZ file. Knows records and bytes."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DAMAGE, StoreError
from engine.store import rows, schema, state
from engine.types import MaskRecord

_SPOILED = (OSError, *DAMAGE, zipfile.BadZipFile)


def segment_name(number: int) -> str:
    """File name of a segment, counted from 0."""
    return f"segment-{number:06d}.npz"


def read_segment(path: Path) -> list[MaskRecord]:
    """The records of a segment. Raises StoreError if the file is missing or damaged (NPZ carries checksums)."""
    try:
        return unpack_records(path.read_bytes())
    except _SPOILED as error:
        raise damaged(path) from error


def read_state(path: Path) -> dict[str, Any]:
    """A packed state. Raises StoreError if the file is missing or damaged."""
    try:
        return state.unpack(path.read_bytes())
    except _SPOILED as error:
        raise damaged(path) from error


def damaged(path: Path) -> StoreError:
    """The error for a file of an unfinished run that cannot be read."""
    return StoreError(f"{path}: a part of an unfinished run is damaged", "pass --overwrite to start again")


def pack_records(records: Sequence[MaskRecord]) -> bytes:
    """Records as the bytes of a segment."""
    offsets = np.cumsum([0, *(len(record.counts) for record in records)])
    points = np.cumsum([0, *(len(record.points) for record in records)])
    table = [
        rows.mask_row(record, int(o), int(p)) for record, o, p in zip(records, offsets[:-1], points[:-1], strict=True)
    ]
    buffer = io.BytesIO()
    np.savez(
        buffer,
        masks=np.array(table, schema.MASK_TYPE),
        warped_ious=np.array([record.warped_iou for record in records], schema.WARPED_IOU_TYPE),
        counts=np.frombuffer(b"".join(record.counts for record in records), np.uint8),
        points=rows.point_rows([point for record in records for point in record.points]),
    )
    return buffer.getvalue()


def unpack_records(data: bytes) -> list[MaskRecord]:
    """Records of the bytes of a segment."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        table, counts, points = arrays["masks"], arrays["counts"].tobytes(), arrays["points"]
        warped_ious = arrays["warped_ious"].tolist()
    return [
        rows.record_of_row(
            row,
            counts[row["offset"] : row["offset"] + row["length"]],
            rows.points_of_rows(points[row["first_point"] : row["first_point"] + row["points"]]),
            warped_iou,
        )
        for row, warped_iou in zip(table, warped_ious, strict=True)
    ]
