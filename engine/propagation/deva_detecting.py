"""DEVA with detections: objects that it finds itself, followed, found again, ended (DEVA, section 3).

Frames are either carried (read from memory alone) or incorporated (a detection on them is merged with what was carried
there). Knows encoded frames; when to look for objects, and who finds them, is deva_online.py's business.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.memory.long_term import LongTermOptions
from engine.memory.read import Affinity, similarity
from engine.models.xmem.preprocess import padded, unpadded
from engine.propagation.consensus import numbered, vote
from engine.propagation.detections import Detection, Labels
from engine.propagation.deva import DEVATracker
from engine.propagation.deva_frames import DEVAFrames
from engine.propagation.merging import ObjectTable
from engine.propagation.mmpm_frames import EncodedFrame
from engine.types import FloatArray

_SURE = 0.8  # probability of pixels that are counted where no scores are given
_SHARPNESS = 2.0  # of the weights that scores give


class DetectingTracker(DEVATracker):
    """objects: those followed now, in the order of rows. Tracks exclude each other, for segments do.

    most_missed: an object that more detections in a row do not find ends. most_objects: detections that would lead to
    more are ignored.
    """

    def __init__(
        self,
        frames: DEVAFrames,
        options: LongTermOptions,
        interval: int = 5,
        most_missed: int = 5,
        most_objects: int | None = None,
    ) -> None:
        super().__init__(frames, options, interval)
        self.most_missed = most_missed
        self.most_objects = most_objects
        self.objects = ObjectTable()
        self.time = -1  # no frame yet

    @torch.inference_mode()
    def carry(self, frame: EncodedFrame, last: bool = False) -> Tensor:
        """The objects in the next frame: probabilities (N, H', W')."""
        self._advance(frame)
        soft = self._segment(frame, last)
        self._last_masks = soft
        if len(soft) and not last and self.time - self._last_memory >= self.interval:
            self._store(frame, soft)
        return soft

    @torch.inference_mode()
    def incorporate(self, frame: EncodedFrame, found: Detection, incremental: bool = False) -> Tensor:
        """The same for a frame with a detection; 0/1. Objects come and go here."""
        self._advance(frame)
        forward = positions(self._segment(frame, last=False))
        labels = padded(torch.from_numpy(found.labels.astype(np.int64))).numpy()
        masks = self.objects.merge(forward, labels, found.segments, self.most_objects, incremental)
        self._enter(frame, len(masks) - len(self._hidden))
        self._last_masks = torch.from_numpy(masks).to(self.frames.device).float()
        self._leave(self.objects.purge(self.most_missed))
        if len(self.objects):
            self._store(frame, self._last_masks)
        return self._last_masks

    @torch.inference_mode()
    def foresee(self, frame: EncodedFrame, as_published: bool = False) -> Labels | None:
        """Positions (h, w) where the objects will be in a frame that is not taken yet, without padding; None for none.

        as_published: looking changes the sensory memory and counts as usage.
        """
        if not len(self.objects):
            return None
        soft = self._look(frame, remember=as_published, count=as_published)
        return positions(unpadded(soft, frame.inner))

    @torch.inference_mode()
    def agree(self, clip: Sequence[tuple[EncodedFrame, Detection]]) -> Detection:
        """What detections on neighbouring frames agree on, on the first of them."""
        key, named = clip[0][0], numbered([found for _, found in clip])
        shown = [named[0]]
        for (frame, _), found in zip(clip[1:], named[1:], strict=True):
            shown.append(self._shown(key, frame, found) if found.segments else found)
        return vote(shown)

    @torch.inference_mode()
    def associate(
        self, clip: Sequence[tuple[EncodedFrame, FloatArray]], scores: Sequence[float] | None = None
    ) -> tuple[int, FloatArray]:
        """One object, found in several frames with soft masks (h, w) in [0, 1], on the frame that is surest of it.

        Returns which frame that is and the mean there of its own mask and all others carried over, a soft mask (h, w)
        to go on from in both directions. scores: how sure each frame is; without them all count the same and the
        frame with the most pixels above 0.8 is taken ("established association" of the published program).
        """
        if scores is None:
            key = int(np.argmax([np.count_nonzero(mask > _SURE) for _, mask in clip]))
            weights = torch.full((len(clip),), 1 / len(clip))
        else:
            key = int(np.argmax(scores))
            weights = torch.softmax(_SHARPNESS * torch.tensor(scores, dtype=torch.float32), 0)
        total = torch.zeros(clip[key][0].inner, device=self.frames.device)
        for at, (frame, mask) in enumerate(clip):
            own = torch.from_numpy(mask)[None].to(self.frames.device, torch.float32)
            total += weights[at] * (own if at == key else self._carried_over(clip[key][0], frame, own))[0]
        soft: FloatArray = total.cpu().numpy()
        return key, soft

    def state(self) -> dict[str, Any]:
        """As DEVATracker's, and the objects."""
        return {**super().state(), "objects": self.objects.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken, with the same weights and options."""
        super().load_state(state)
        self.objects.load_state(state["objects"])

    def _advance(self, frame: EncodedFrame) -> None:
        if self.time < 0:
            self.size = frame.size
            self._begin(frame)
        self.time += 1

    def _shown(self, key: EncodedFrame, frame: EncodedFrame, found: Detection) -> Detection:
        """A frame's segments carried to the key frame."""
        ids = [segment.id for segment in found.segments]
        masks = torch.from_numpy(found.labels[None] == np.array(ids)[:, None, None]).float()
        return Detection(np.array([0, *ids])[positions(self._carried_over(key, frame, masks))], found.segments)

    def _carried_over(self, key: EncodedFrame, frame: EncodedFrame, masks: Tensor) -> Tensor:
        """Masks (N, h, w) of a frame in the key frame, with nothing to go by but the two pictures: (N, h, w)."""
        given = padded(masks.to(self.frames.device))
        values, sensory = self.frames.values(frame, self.frames.empty_hidden(frame, len(given)), given)
        asked = key.key.key.float(), key.key.selection.float()
        scores = similarity(frame.key.key.float(), frame.key.shrinkage.float(), *asked)[0]
        read = Affinity(scores, self.options.top_k).read(values.flatten(2).transpose(1, 2)).transpose(1, 2)
        soft = self.frames.masks(key, read.unflatten(2, sensory.shape[-2:]), sensory, given, False)[0]
        return unpadded(soft, key.inner)


def positions(soft: Tensor) -> Labels:
    """The likeliest of background (0) and objects (1 to N) where probabilities (N, H, W) leave the rest to it."""
    background = 1 - soft.sum(0, keepdim=True)
    likeliest: Labels = torch.cat([background, soft]).argmax(0).cpu().numpy()
    return likeliest
