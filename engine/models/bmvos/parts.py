"""What surrounds the matching: key projection, mask embedder, decoder. Names are those of the published checkpoints."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KEY_WIDTH, MASK_WIDTH, SCORES = 512, 256, 4
_WIDTH = 256


class _Conv(nn.Module):
    """Holder of one convolution; new ones begin He-uniform, biases at 0."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        _begin(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class _Deconv(nn.Module):
    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(_WIDTH, 2, kernel, stride, padding=1)
        _begin(self.deconv)

    def forward(self, x: Tensor) -> Tensor:
        return self.deconv(x)


def _begin(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


class Matcher(nn.Module):
    """Keys: s16 (B, 1024, h, w) -> (B, 512, h * w) of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _Conv(1024, KEY_WIDTH, 1)

    def forward(self, s16: Tensor) -> Tensor:
        key = self.conv(s16).flatten(2).float()
        return key / key.norm(dim=1, keepdim=True)


class MaskEmbedder(nn.Module):
    """The three latest masks of an object and where its pixels are -> features at stride 16."""

    def __init__(self) -> None:
        super().__init__()
        widths = (9, 32, 64, 128, MASK_WIDTH)
        for number in range(1, 5):
            self.add_module(f"conv{number}", _Conv(widths[number - 1], widths[number], 7, 2, 3))

    def forward(self, history: Tensor) -> Tensor:
        """history (B, 3, H, W): foreground in [0, 1], newest first -> (B, 256, H/16, W/16)."""
        both = torch.stack([1 - history, history], 2).flatten(1, 2)
        places = coordinates(history.shape[2], history.shape[3], history).expand(len(history), -1, -1, -1)
        x = torch.cat([both, places], 1)
        for number in range(1, 5):
            x = self.get_submodule(f"conv{number}")(x)
            x = F.relu(x) if number < 4 else x
        return x


def coordinates(height: int, width: int, like: Tensor) -> Tensor:
    """(1, 3, H, W): row and column in [-1, 1], and the distance from the centre."""
    lines = (torch.linspace(-1, 1, side, device=like.device, dtype=like.dtype) for side in (height, width))
    y, x = torch.meshgrid(*lines, indexing="ij")
    return torch.stack([y, x, (x.square() + y.square()).sqrt()])[None]


class Decoder(nn.Module):
    """A pyramid whose levels hand on two scores, background and foreground.

    A blend is linear in its input, so the image's share of it is worked out once for all objects.
    """

    def __init__(self) -> None:
        super().__init__()
        own = (SCORES + MASK_WIDTH, 2, 2)
        for level, (inputs, added, kernel, stride) in enumerate(
            zip((1024, 512, 256), own, (4, 4, 6), (2, 2, 4), strict=True), 1
        ):
            self.add_module(f"conv{level}", _Conv(inputs, _WIDTH, 1))
            self.add_module(f"blend{level}", _Conv(_WIDTH + added, _WIDTH, 3, padding=1))
            self.add_module(f"deconv{level}", _Deconv(kernel, stride))

    def of_image(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Encoder maps at strides 4, 8, 16 -> the image's share of the three blends, coarse to fine."""
        return [self._shared(level, image) for level, image in enumerate(reversed(maps), 1)]

    def forward(self, shared: Sequence[Tensor], matching: Tensor, masks: Tensor) -> list[Tensor]:
        """shared: of one image or of as many as objects; matching (n, 4, h, w); masks (n, 256, h, w).

        Returns scores (n, 2, ...) at strides 8, 4, 1.
        """
        own, found = torch.cat([matching, masks], 1), []
        for level, image in enumerate(shared, 1):
            weight = self._blend(level).weight[:, _WIDTH:]
            blended = F.relu(image + F.conv2d(own, weight, padding=1))
            own = self.get_submodule(f"deconv{level}")(blended)
            found.append(own)
        return found

    def _shared(self, level: int, image: Tensor) -> Tensor:
        blend = self._blend(level)
        x = F.relu(self.get_submodule(f"conv{level}")(image))
        return F.conv2d(x, blend.weight[:, :_WIDTH], blend.bias, padding=1)

    def _blend(self, level: int) -> nn.Conv2d:
        blend = self.get_submodule(f"blend{level}.conv")
        assert isinstance(blend, nn.Conv2d)
        return blend
