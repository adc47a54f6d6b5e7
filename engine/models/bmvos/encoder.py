"""DenseNet-121 up to its third dense block (Huang et al. 2017), torchvision's layers under torchvision's names."""

import torch
from torch import Tensor, nn
from torchvision.models.densenet import DenseNet

_LAYERS = (
    "conv0",
    "norm0",
    "relu0",
    "pool0",
    "denseblock1",
    "transition1",
    "denseblock2",
    "transition2",
    "denseblock3",
)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Encoder(nn.Module):
    """Images -> the raw outputs of the three dense blocks. Always run with the statistics it holds."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))
        # The fourth block of one layer stays unused; torchvision's needs one for its last norm.
        features = DenseNet(32, (6, 12, 24, 1), 64, num_classes=1).features
        for name in _LAYERS:
            self.add_module(name, features.get_submodule(name))

    def train(self, mode: bool = True) -> "Encoder":
        """Batch norms keep their statistics in training, as published."""
        return super().train(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H, W) in [0, 1] -> 256, 512, 1024 channels at strides 4, 8, 16."""
        x = (images - self.mean) / self.std
        blocks = []
        for name in _LAYERS:
            x = self.get_submodule(name)(x)
            if name.startswith("denseblock"):
                blocks.append(x)
        return blocks[0], blocks[1], blocks[2]
