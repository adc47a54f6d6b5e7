"""The weights that have a name. Knows names, files, addresses, checksums, licences; touches neither disk nor network.

Digests and sizes of the SAM checkpoints are those of the published files. (The six hex digits in their file names begin
their MD5, not their SHA-256.)
"""

from dataclasses import dataclass
from typing import Literal

SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything/"
RAFT_URL = "https://download.pytorch.org/models/"
RAFT_CITATION = "Teed and Deng, RAFT, ECCV 2020; weights of torchvision"
SGMG_CITATION = "Miao et al., SgMg, ICCV 2023"
XMEM_URL = "https://github.com/hkchengrex/XMem/releases/download/v1.0/"
XMEM_CITATION = "Cheng and Schwing, XMem, ECCV 2022"
DEVA_URL = "https://github.com/hkchengrex/Tracking-Anything-with-DEVA/releases/download/v1.0/"
DEVA_CITATION = "Cheng et al., DEVA, ICCV 2023"
MAVOS_CITATION = "Shaker et al., MAVOS, WACV 2025"
BMVOS_CITATION = "Cho et al., BMVOS, WACV 2022"
COTRACKER_URL = "https://huggingface.co/facebook/"
COTRACKER_CITATION = "Karaev et al., CoTracker, ECCV 2024"
SAM_CITATION = "Kirillov et al., Segment Anything, ICCV 2023"


@dataclass(frozen=True)
class Entry:
    """One set of weights.

    `model` is the name of its architecture. `url` is None for weights inside the package, and for those that a person
    has to fetch from `page`. `sha256` and `size` (bytes)
    are None where they are not known beforehand; `sha256_begins` is what is known then, the digits in the file's name.
    """

    name: str
    kind: Literal["mmpm", "sam", "raft", "sgmg", "xmem", "deva", "mavos", "bmvos", "cotracker"]
    model: str
    file: str
    licence: str
    citation: str
    about: str
    url: str | None = None
    sha256: str | None = None
    size: int | None = None
    sha256_begins: str = ""
    page: str = ""

    @property
    def bundled(self) -> bool:
        """Whether the file is part of the package."""
        return self.url is None and not self.page


def _sam(variant: str, digits: str, sha256: str, size: int) -> Entry:
    file = f"sam_vit_{variant}_{digits}.pth"
    name = f"sam-vit-{variant}"
    about = f"Segment Anything, ViT-{variant.upper()}"
    return Entry(name, "sam", name, file, "Apache-2.0", SAM_CITATION, about, SAM_URL + file, sha256, size)


def _cotracker(version: int, address: str, citation: str, sha256: str | None = None) -> Entry:
    """Networks whose code is not ours: SAM-PT uses them where torch.hub has it. No digests of later files are known."""
    name, about = f"cotracker{version}", f"Points followed through videos, CoTracker {version}; code from torch.hub"
    file, licence = address.rsplit("/", 1)[1], "CC BY-NC 4.0"
    if sha256 is None:
        return Entry(name, "cotracker", name, file, licence, citation, about, page=address)
    return Entry(name, "cotracker", name, file, licence, citation, about, address, sha256, sha256_begins=sha256[:8])


def _raft(size: str, file: str) -> Entry:
    digits = file.removesuffix(".pth").rsplit("-", 1)[1]
    name = f"raft-{size}"
    about = f"Optical flow, RAFT ({size})"
    return Entry(name, "raft", name, file, "BSD-3-Clause", RAFT_CITATION, about, RAFT_URL + file, sha256_begins=digits)


def _sgmg(size: str, data: str, judged: str, drive: str) -> Entry:
    """SgMg's checkpoints lie on Google Drive, which hands large files to browsers only."""
    name = f"sgmg-{size}" if data == "ytvos" else f"sgmg-{size}-{data}"
    file = f"sgmg_video_swin_{size}_{data}.pth"
    about = f"Masks from sentences, Video-Swin-{size.upper()}, trained for {judged}"
    page = f"https://drive.google.com/file/d/{drive}/view"
    return Entry(name, "sgmg", f"sgmg-{size}", file, "CC BY-NC 4.0", SGMG_CITATION, about, page=page)


def _xmem(suffix: str, trained: str, megabytes: int = 249) -> Entry:
    file = f"XMem{suffix}.pth"
    about = f"Masks through a video, XMem, {trained}; {megabytes} MB"
    licence = "MIT code, weights unstated"
    name = file.removesuffix(".pth").lower()
    return Entry(name, "xmem", name, file, licence, XMEM_CITATION, about, XMEM_URL + file)


def _mavos(model: str, judged: str, drive: str) -> Entry:
    suffix = {"DAVIS": "", "LVOS": "-lvos", "Long-Time Video": "-ltv"}[judged]
    about = f"Masks through a video, {model.upper()}, chosen on {judged}"
    page = f"https://drive.google.com/file/d/{drive}/view"
    name = model + suffix
    return Entry(name, "mavos", model, f"{name}.pth", "BSD-3 code, weights unstated", MAVOS_CITATION, about, page=page)


def _bmvos(data: str, drive: str) -> Entry:
    name = "bmvos" if data == "davis" else f"bmvos-{data}"
    about = f"Masks through a video, BMVOS, trained on {data}"
    page = f"https://drive.google.com/file/d/{drive}/view"
    licence = "MIT; non-commercial research only"
    return Entry(name, "bmvos", "bmvos", f"BMVOS_{data}.pth", licence, BMVOS_CITATION, about, page=page)


_ENTRIES = (
    Entry(
        "mmpm-tiny",
        "mmpm",
        "mmpm-tiny",
        "mmpm-tiny.safetensors",
        "Apache-2.0; data non-commercial",
        "this project",
        "Mask propagation on a CPU; inside the package",
    ),
    Entry(
        "sam-tiny",
        "sam",
        "sam-tiny",
        "sam-tiny.safetensors",
        "Apache-2.0; data non-commercial",
        "this project",
        "Masks from points and boxes on a CPU; inside the package",
    ),
    _sam("b", "01ec64", "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912", 375_042_383),
    _sam("l", "0b3195", "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622", 1_249_524_607),
    _sam("h", "4b8939", "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e", 2_564_550_879),
    _cotracker(
        1,
        "https://dl.fbaipublicfiles.com/cotracker/cotracker_stride_4_wind_8.pth",
        COTRACKER_CITATION,
        "59ecb29c1a9da98496a299f0604458b7ed08eaa46ae1559487aaab887a11d344",
    ),
    _cotracker(2, f"{COTRACKER_URL}cotracker/resolve/main/cotracker2v1.pth", COTRACKER_CITATION),
    _cotracker(3, f"{COTRACKER_URL}cotracker3/resolve/main/scaled_offline.pth", "Karaev et al., CoTracker3, 2024"),
    _raft("small", "raft_small_C_T_V2-01064c6d.pth"),
    _raft("large", "raft_large_C_T_SKHT_V2-ff5fadd5.pth"),
    _xmem("", "on still images, DAVIS and YouTube-VOS"),
    _xmem("-s012", "on still images, BL30K, DAVIS and YouTube-VOS"),
    _xmem("-s2", "on DAVIS and YouTube-VOS alone"),
    _xmem("-s0", "on still images, one object at a time, to train from"),
    _xmem("-no-sensory", "without a hidden state", 239),
    Entry(
        "deva",
        "deva",
        "deva",
        "DEVA-propagation.pth",
        "CC BY-NC-SA 4.0",
        DEVA_CITATION,
        "Masks through a video, with or without detections, DEVA; 277 MB",
        DEVA_URL + "DEVA-propagation.pth",
    ),
    _mavos("mavos", "DAVIS", "1jEh1qDacEZSnPyZTL913hW3GUHKhqaOn"),
    _mavos("mavos", "LVOS", "1KhD6e-590vlAUitIXWFuhOv1typfTB-N"),
    _mavos("mavos", "Long-Time Video", "1wIgUZ36BVWzUL5nmOifct7U42I2nS8mT"),
    _mavos("mavos-r50", "DAVIS", "1pfKbm--DdHPYXJfZwE7LKaaIPzjRDn2K"),
    _mavos("mavos-r50", "LVOS", "1Hp-j0hNWesSBle6HQxm6ghJE9b1THn1I"),
    _mavos("mavos-r50", "Long-Time Video", "1AdyEiwjc6l5OrK9PBViFwcJs00UdQe5U"),
    _mavos("mavos-swinb", "DAVIS", "1KSbKmKZg66u6edSqLVZyKzlanyVOhAvt"),
    _mavos("mavos-swinb", "LVOS", "1HbRHeChnQWK73OYaYov-bchfwbm4lRyf"),
    _mavos("mavos-swinb", "Long-Time Video", "1QYxyHa_GFrW4IT44qBv8vqEHpDAj4gVv"),
    _bmvos("davis", "16FmdVvTn9BKAr2X1QbJhcMOvQ4av_JGw"),
    _bmvos("ytvos", "1Gbv9SfNkJf08kd2ZWiRdEjWTP0em20f2"),
    _sgmg("t", "ytvos", "Ref-YouTube-VOS and Ref-DAVIS", "1SiHl7oYqBabaN28nsrNOJeiZrJyhRixl"),
    _sgmg("b", "ytvos", "Ref-YouTube-VOS and Ref-DAVIS", "1sZngZ_7JlgZWX2bEQ7Xw36_VbBOlLJU8"),
    _sgmg("t", "a2d", "A2D and JHMDB", "1LKjaMOBrpGT7tWLS3CmhDl_QQfUQPglJ"),
    _sgmg("b", "a2d", "A2D and JHMDB", "1PQh0QSWqWUUnWf9WtvHgZ7plrORQvjzN"),
    _sgmg("b", "refcoco", "RefCOCO, to train from", "1URnBMpZh0J7mBg6H2b1pdqywMM8vOopG"),
)

CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
