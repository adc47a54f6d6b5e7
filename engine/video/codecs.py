"""Which video formats the installed FFmpeg reads and writes. Asks PyAV; decodes nothing."""

from typing import NamedTuple

import av


class CodecStatus(NamedTuple):
    """One line of the report: `name` as users know it, whether it works, and through which part of FFmpeg."""

    name: str
    available: bool
    detail: str


_DECODERS = {
    "H.264": ("h264",),
    "HEVC": ("hevc",),
    "VP8": ("vp8", "libvpx"),
    "VP9": ("vp9", "libvpx-vp9"),
    "AV1": ("libdav1d", "av1"),
    "MPEG-4": ("mpeg4",),
    "Motion JPEG": ("mjpeg",),
    "ProRes": ("prores",),
    "FFV1": ("ffv1",),
    "GIF": ("gif",),
}
_ENCODERS = {
    "H.264": ("libx264", "libopenh264"),
    "VP9": ("libvpx-vp9",),
    "GIF": ("gif",),
}


def codec_report() -> list[CodecStatus]:
    """Every decoder and encoder that matters to video in and out, decoders first."""
    reading = [_status(f"read {name}", names, "r") for name, names in _DECODERS.items()]
    return reading + [_status(f"write {name}", names, "w") for name, names in _ENCODERS.items()]


def _status(label: str, names: tuple[str, ...], mode: str) -> CodecStatus:
    for name in names:
        try:
            return CodecStatus(label, True, av.codec.Codec(name, mode).name)
        except av.codec.codec.UnknownCodecError:
            continue
    return CodecStatus(label, False, f"not in this build of FFmpeg ({' or '.join(names)}); try `pip install -U av`")
