"""How much a file may claim before it is refused: every limit on what is read, in one place.

Files can say anything of themselves; nothing is decoded or allocated by a claim beyond these. Each is far above what
real data need, and docs/reliability.md lists them. Knows numbers only.
"""

PICTURE_PIXELS = 2**27
"""Of a picture or a frame of a video, by its header: 134 megapixels, 400 MB as RGB."""

PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""What Pillow may take a file for, whatever its name: other formats are rare, and some make it run programs (EPS)."""

MASK_SIDE = 65_535
MASK_PIXELS = 2**28
"""Of a mask, in any format."""

CLIP_FRAMES = 10_000_000
CLIP_TRACKS = 1_000_000
"""Of one clip. Where tables claim rows, their bytes must also be there: see TABLE_RATIO."""

TABLE_RATIO = 1100
"""Bytes that a table of a store may claim for each byte that it takes in the file; gzip cannot do better."""

CODE_BYTES_A_PIXEL = 7
"""Of run lengths in a store: seven symbols for each run, and a run is a pixel at least."""

POLYGON_LENGTH = 2**22
"""Of the outline of a polygon, in pixels; rasterising takes memory and time by it. Also at most eight times the
sides of the mask and once its pixels, together."""

ZIP_RATIO = 200
ZIP_BYTES = 1 << 30
"""An archive may unpack to ZIP_BYTES, or to ZIP_RATIO times its own size where that is more."""

ZIP_FILES = 5_000_000

WEIGHTS_HEADER = 100_000_000
"""Bytes of the header of a safetensors file."""

WEIGHTS_RATIO = 4
WEIGHTS_BYTES = 64 << 20
"""A checkpoint may unpack to, and its tensors may span, WEIGHTS_BYTES more than WEIGHTS_RATIO times its size."""

WRAPPINGS = 16
"""Of one dict of weights in another."""

NETWORK_WIDTH = 65_536
NETWORK_SIDE = 4096
LAYERS = 256
"""What weights may say of their network: channels and other counts, pixels a side that it sees, blocks in a row. What
it builds then has to have the shapes of the tensors in the file, before any of it is allocated."""
