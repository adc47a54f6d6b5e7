"""Frames in and out: video files, folders of images, globs, lists, standard input. No torch."""

from engine.video.cameras import is_camera
from engine.video.codecs import codec_report
from engine.video.finding import find_videos
from engine.video.live import LiveReader
from engine.video.numbering import frame_numbers
from engine.video.on_card import CardReader
from engine.video.opening import open_on_card, open_stream, open_video
from engine.video.reader import VideoReader
from engine.video.stills import read_image
from engine.video.writer import VideoWriter

__all__ = [
    "CardReader",
    "LiveReader",
    "VideoReader",
    "VideoWriter",
    "codec_report",
    "find_videos",
    "frame_numbers",
    "is_camera",
    "open_on_card",
    "open_stream",
    "open_video",
    "read_image",
]
