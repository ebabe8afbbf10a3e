"""Turn tokens back into feature maps: Resample ∘ Concatenate ∘ Read (DPT §3, eq. 1)."""

import torch.nn.functional as F
from torch import Tensor, nn

from dpt_cli.model.config import Readout


class ReadIgnore(nn.Module):
    """Drop the readout token (DPT §3, Read_ignore, eq. 3)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, 1 + N, D), readout token first, to (B, N, D)."""
        return tokens[:, 1:]


class ReadAdd(nn.Module):
    """Add the readout token to every other (DPT §3, Read_add, eq. 4)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, 1 + N, D), readout token first, to (B, N, D)."""
        return tokens[:, 1:] + tokens[:, :1]


class ReadProject(nn.Module):
    """Concatenate the readout token to every other and project (DPT §3, Read_proj, eq. 5)."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(2 * embed_dim, embed_dim)
        self.activation = nn.GELU()

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, 1 + N, D), readout token first, to (B, N, D)."""
        # The readout token is the same for every patch, so its half is projected once, not N times.
        for_patches, for_readout = self.project.weight.chunk(2, dim=1)
        readout = F.linear(tokens[:, :1], for_readout, self.project.bias)  # (B, 1, D)
        result: Tensor = self.activation(F.linear(tokens[:, 1:], for_patches) + readout)
        return result


def build_read(readout: Readout, embed_dim: int) -> nn.Module:
    """Return the Read operator of that name (DPT §3, eq. 3 to 5)."""
    if readout == "project":
        return ReadProject(embed_dim)
    return ReadAdd() if readout == "add" else ReadIgnore()


def build_resample(level: int, width: int) -> nn.Module:
    """Return the layer that brings a map of stride 16 to a level's stride (DPT §3, Resample_s)."""
    if level in (0, 1):
        factor = 4 if level == 0 else 2
        return nn.ConvTranspose2d(width, width, kernel_size=factor, stride=factor)
    if level == 2:
        return nn.Identity()
    return nn.Conv2d(width, width, kernel_size=3, stride=2, padding=1)


class Reassemble(nn.Module):
    """Tokens to a feature map of the level's stride: 4, 8, 16 or 32 (DPT §3, Reassemble_s)."""

    def __init__(self, level: int, embed_dim: int, width: int, readout: Readout) -> None:
        super().__init__()
        self.read = build_read(readout, embed_dim)
        self.project = nn.Conv2d(embed_dim, width, kernel_size=1)
        self.resample = build_resample(level, width)

    def forward(self, tokens: Tensor, grid_hw: tuple[int, int]) -> Tensor:
        """Map tokens (B, 1 + N, D) of a patch grid to (B, width, h, w), (h, w) by the stride."""
        x = self.read(tokens)  # (B, N, D)
        x = x.transpose(1, 2).unflatten(2, grid_hw)  # (B, D, h/16, w/16)
        result: Tensor = self.resample(self.project(x))
        return result


class PassFeatureMap(nn.Module):
    """A level that is a feature map of the right stride already, as in a hybrid (DPT §3)."""

    def forward(self, feature_map: Tensor, _grid_hw: tuple[int, int]) -> Tensor:
        """Return the feature map (B, C, h, w) as it is."""
        return feature_map
