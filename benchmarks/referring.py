"""Predictions of SgMg on the data sets of referring video segmentation, in the layouts that `mugvos evaluate` scores.

    python benchmarks/referring.py ytvos ROOT OUT --model sgmg-t      <video>/<sentence>/<frame>.png, 0 and 255
    python benchmarks/referring.py davis ROOT OUT --model sgmg-t      anno_<n>/<video>/<frame>.png, label images
    python benchmarks/referring.py a2d ROOT OUT --model sgmg-t-a2d    truth.json and predictions.json (COCO)
    python benchmarks/referring.py jhmdb ROOT OUT --model sgmg-t-a2d  the same; needs scipy for .mat files

Then `mugvos evaluate OUT --gt TRUTH --protocol referring`. The published rules: docs/sgmg.md. Videos that OUT has are
left alone, so a killed run goes on.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image
from referring_samples import Sample, a2d_samples, jhmdb_samples, write_samples

from engine.errors import MugvosError
from engine.evaluation.meta import Expression, read_meta
from engine.models.sgmg.inference import answer_clip, answer_frame, exclusive_labels, to_size
from engine.models.sgmg.loading import load_sgmg
from engine.models.sgmg.network import SgMg
from engine.models.sgmg.preprocess import normalised, picture_size, resized, video_size
from engine.models.sgmg.tokenizer import Tokenizer, as_trained, find_tokenizer
from engine.runtime.device import resolve_device
from engine.video.stills import read_image
from engine.weights.find import find_weights

DAVIS_WINDOW = 36
ANNOTATORS = 4
_DAVIS_PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128, 128, 0, 128, 0, 128, 128, 128, 128, 128]


class Model:
    """SgMg, its tokenizer and where it computes."""

    def __init__(self, weights: str, folder: Path | None, device: str, short_side: int) -> None:
        self.device = resolve_device(device)
        path = find_weights(weights)
        self.network: SgMg = load_sgmg(path).network.to(self.device)
        self.tokenizer = Tokenizer(find_tokenizer(folder))
        self.tokenizer.check(self.network.config.text.vocabulary, path)
        self.short_side = short_side

    @torch.inference_mode()
    def soft(self, files: list[Path], sentences: list[str], window: int) -> Iterator[torch.Tensor]:
        """Probabilities (sentences, H, W) of each frame, in windows of so many frames."""
        text = self.network.read(self.tokenizer(sentences).to(self.device))
        for start in range(0, len(files), window):
            images = [read_image(file) for file in files[start : start + window]]
            size = images[0].shape[0], images[0].shape[1]
            small = video_size(*size, self.short_side)
            clip = normalised([resized(image, small) for image in images]).to(self.device)
            answers = answer_clip(self.network, clip, text)
            for frame in range(len(images)):
                yield torch.cat([to_size(answer.logits[frame, None], size) for answer in answers])

    @torch.inference_mode()
    def guesses(self, sample: Sample) -> list[tuple[float, np.ndarray]]:
        """Scored masks of one annotated frame."""
        images = sample.images()
        size = images[0].shape[0], images[0].shape[1]
        small = picture_size(*size, self.short_side, self.short_side * 640 // 360)
        clip = normalised([resized(image, small) for image in images]).to(self.device)
        text = self.network.read(self.tokenizer([as_trained(sample.sentence)]).to(self.device))
        found = answer_frame(self.network, [clip], text, [sample.annotated])[0]
        return [(guess.score, (to_size(guess.logits[None], size)[0] > 0.5).cpu().numpy()) for guess in found]


def ytvos(model: Model, root: Path, out: Path) -> None:
    """Whole videos as one window, raw sentences; the videos of the validation set that the test set does not have."""
    valid = read_meta(root / "meta_expressions" / "valid" / "meta_expressions.json").expressions
    test = root / "meta_expressions" / "test" / "meta_expressions.json"
    others = read_meta(test).expressions if test.is_file() else {}
    for video in sorted(set(valid) - set(others)):
        said = valid[video]
        files = _frames(root / "valid" / "JPEGImages" / video, said)
        _once(out / video, lambda folder, said=said, files=files: _write_sentences(model, files, said, folder))


def _frames(folder: Path, said: tuple[Expression, ...]) -> list[Path]:
    """The frames that the meta file lists, all if it lists none."""
    files = sorted(folder.glob("*.jpg"))
    listed = said[0].frames if said else None
    return files if listed is None else [file for file in files if int(file.stem) in set(listed)]


def _write_sentences(model: Model, files: list[Path], said: tuple[Expression, ...], folder: Path) -> None:
    for file, soft in zip(files, model.soft(files, [one.text for one in said], len(files)), strict=True):
        for one, mask in zip(said, (soft > 0.5).cpu().numpy(), strict=True):
            (folder / one.name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / one.name / f"{file.stem}.png")


def davis(model: Model, root: Path, out: Path) -> None:
    """Windows of 36 frames; sentence 4k + a means object k as annotator a put it; objects compete for pixels."""
    videos = read_meta(root / "meta_expressions" / "valid" / "meta_expressions.json").expressions
    for video, said in sorted(videos.items()):
        files = _frames(root / "valid" / "JPEGImages" / video, said)
        ordered = sorted(said, key=lambda one: int(one.name))
        for annotator in range(ANNOTATORS):
            texts = [one.text for one in ordered[annotator::ANNOTATORS]]
            target = out / f"anno_{annotator}" / video
            _once(target, lambda folder, texts=texts, files=files: _write_labels(model, files, texts, folder))


def _write_labels(model: Model, files: list[Path], texts: list[str], folder: Path) -> None:
    folder.mkdir(parents=True)
    for file, soft in zip(files, model.soft(files, texts, DAVIS_WINDOW), strict=True):
        label = Image.fromarray(exclusive_labels(soft).cpu().numpy().astype(np.uint8), "P")
        label.putpalette(_DAVIS_PALETTE)
        label.save(folder / f"{file.stem}.png")


def _once(target: Path, write: Callable[[Path], None]) -> None:
    """Write a folder unless it is there; it appears whole."""
    if target.exists():
        return
    print(target, file=sys.stderr)
    unfinished = target.with_name(f".{target.name}.part")
    for file in sorted(unfinished.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    if unfinished.exists():
        unfinished.rmdir()
    write(unfinished)
    unfinished.replace(target)


def main() -> int:
    """Parse arguments, predict, say in one line what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=("ytvos", "davis", "a2d", "jhmdb"))
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="sgmg-t", help="name or file of weights")
    parser.add_argument("--text-encoder", type=Path, help="folder of the tokenizer")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--short-side", type=int, default=360)
    asked = parser.parse_args()
    try:
        model = Model(asked.model, asked.text_encoder, asked.device, asked.short_side)
        asked.out.mkdir(parents=True, exist_ok=True)
        if asked.data in ("ytvos", "davis"):
            (ytvos if asked.data == "ytvos" else davis)(model, asked.root, asked.out)
        else:
            samples = (a2d_samples if asked.data == "a2d" else jhmdb_samples)(asked.root)
            write_samples(samples, model.guesses, asked.out)
    except MugvosError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
