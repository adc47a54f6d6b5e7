"""Everything that decides what the pipeline makes of a clip. Defaults are the reference implementation's."""

from dataclasses import asdict, dataclass, field
from typing import Any

from engine.errors import UsageError
from engine.generation.linking import LinkSettings
from engine.generation.sampling import Method
from engine.models.sam.automatic import ProposalSettings


@dataclass(frozen=True)
class GenerateSettings:
    """proposals: of the first frame. mask_nms: IoU above which a later proposal is a duplicate. most_tracks: at once;
    large: share of the frame above which a mask is kept before others. cycle: pixels that a flow there and back may
    miss by. points, prompts, method: of the point prompts. reseed_every: frames between looks for new tracks, None for
    none; new_share: of a new track's mask that no other may cover. contained: share of a track inside another that
    makes it a part of it. seed: all random draws follow from it.
    """

    proposals: ProposalSettings = field(default_factory=ProposalSettings)
    link: LinkSettings = field(default_factory=LinkSettings)
    mask_nms: float = 0.7
    most_tracks: int = 200
    large: float = 0.01
    cycle: float = 3.0
    points: int = 5
    prompts: int = 5
    method: Method = "random"
    reseed_every: int | None = None
    new_share: float = 0.7
    contained: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError for values that cannot be meant."""
        least = {"points": self.points, "prompts": self.prompts, "most_tracks": self.most_tracks}
        for name, value in least.items():
            if value < 1:
                raise UsageError(f"{name} is {value}", "it has to be at least 1")
        if self.reseed_every is not None and self.reseed_every < 1:
            raise UsageError(f"reseed_every is {self.reseed_every}", "it counts frames, from 1 on")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the provenance and for telling runs apart."""
        return asdict(self)
