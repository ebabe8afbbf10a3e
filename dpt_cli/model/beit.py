"""The BEiT encoder of MiDaS 3.1: positions are a bias of each layer's attention."""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpt_cli.model.config import ViTConfig
from dpt_cli.model.timm_parts import Mlp

# Rows at the table's end: readout token to patch, patch to readout token, readout token to itself.
_NUM_READOUT_ROWS = 3


def relative_positions(grid_hw: tuple[int, int], device: torch.device) -> Tensor:
    """Return the row of a bias table for each pair of tokens, int64 (1 + N, 1 + N).

    The table is that of the same grid: (2 h - 1) (2 w - 1) rows for the steps between patches, and
    three for the readout token, which comes first.

    Source: timm 0.6.12, models/beit.py `gen_relative_position_index`.
    """
    height, width = grid_hw
    y = torch.arange(height, device=device)[:, None].expand(height, width).flatten()
    x = torch.arange(width, device=device)[None].expand(height, width).flatten()
    steps_y = y[:, None] - y + (height - 1)
    steps_x = x[:, None] - x + (width - 1)
    num_steps = (2 * height - 1) * (2 * width - 1)
    between = F.pad(steps_y * (2 * width - 1) + steps_x, (1, 0, 1, 0))
    is_readout = F.pad(torch.ones_like(steps_y), (1, 0, 1, 0)) == 0
    from_readout = torch.arange(height * width + 1, device=device)[:, None] == 0
    of_readout = num_steps + torch.where(from_readout, 0, 1) + 2 * (from_readout & from_readout.T)
    return torch.where(is_readout, of_readout, between)


class RelativeAttention(nn.Module):
    """Attention with a learned bias per step between patches; keys have no bias of their own.

    Source: isl-org/MiDaS, midas/backbones/beit.py `attention_forward`, `_get_rel_pos_bias`.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        dim, (grid_h, grid_w) = config.embed_dim, config.grid_hw
        self.grid_hw, self.num_heads = config.grid_hw, config.num_heads
        num_rows = (2 * grid_h - 1) * (2 * grid_w - 1) + _NUM_READOUT_ROWS
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.relative_position_bias_table = nn.Parameter(torch.zeros(num_rows, config.num_heads))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, grid_hw: tuple[int, int], positions: Tensor) -> Tensor:
        """Map tokens (B, 1 + N, D) of a patch grid to the same shape."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        batch, num_tokens, _ = x.shape
        qkv = F.linear(x, self.qkv.weight, bias).view(batch, num_tokens, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, 1 + N, D / heads)
        position_bias = self._table(grid_hw)[positions].permute(2, 0, 1)  # (heads, 1 + N, 1 + N)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=position_bias[None])
        result: Tensor = self.proj(out.transpose(1, 2).flatten(2))
        return result

    def _table(self, grid_hw: tuple[int, int]) -> Tensor:
        """Return the bias table of a patch grid: its steps resized, the readout token's kept."""
        height, width = (2 * side - 1 for side in self.grid_hw)
        steps = self.relative_position_bias_table[:-_NUM_READOUT_ROWS]
        steps = steps.reshape(1, height, width, -1).permute(0, 3, 1, 2)
        size_hw = (2 * grid_hw[0] - 1, 2 * grid_hw[1] - 1)
        steps = F.interpolate(steps, size=size_hw, mode="bilinear", align_corners=False)
        steps = steps.permute(0, 2, 3, 1).flatten(0, 2)
        return torch.cat([steps, self.relative_position_bias_table[-_NUM_READOUT_ROWS:]])


class BeitBlock(nn.Module):
    """A transformer layer whose residual branches end in a learned scale per channel.

    Source: timm 0.6.12, models/beit.py `Block`.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        dim = config.embed_dim
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.norm1, self.attn = norm(dim), RelativeAttention(config)
        self.norm2, self.mlp = norm(dim), Mlp(dim, int(dim * config.mlp_ratio))
        self.gamma_1 = nn.Parameter(torch.ones(dim))
        self.gamma_2 = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor, grid_hw: tuple[int, int], positions: Tensor) -> Tensor:
        """Map tokens (B, 1 + N, D) of a patch grid to the same shape."""
        x = x + self.gamma_1 * self.attn(self.norm1(x), grid_hw, positions)
        result: Tensor = x + self.gamma_2 * self.mlp(self.norm2(x))
        return result


class BeitTransformer(nn.Module):
    """Transformer layers over patch tokens, readout token first, without a position embedding.

    Source: isl-org/MiDaS, midas/backbones/beit.py `beit_forward_features`.
    """

    def __init__(self, config: ViTConfig, hooks: Sequence[int]) -> None:
        super().__init__()
        self.hooks = tuple(hooks)
        self.patches = nn.Conv2d(
            3, config.embed_dim, kernel_size=config.patch_px, stride=config.patch_px
        )
        self.readout_token = nn.Parameter(torch.zeros(1, 1, config.embed_dim))
        self.blocks = nn.ModuleList(BeitBlock(config) for _ in range(self.hooks[-1] + 1))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return one (B, 1 + N, D) per hook for an image (B, 3, h, w)."""
        x = self.patches(image)
        grid_hw = (x.shape[2], x.shape[3])
        positions = relative_positions(grid_hw, x.device)
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.readout_token.expand(x.shape[0], -1, -1), x], dim=1)
        taps = []
        for index, block in enumerate(self.blocks):
            x = block(x, grid_hw, positions)
            if index in self.hooks:
                taps.append(x)
        return taps


class BeitEncoder(nn.Module):
    """A BEiT whose four taps are all tokens (Bao et al. 2021, arXiv 2106.08254).

    Source: isl-org/MiDaS, midas/backbones/beit.py.
    """

    def __init__(self, config: ViTConfig, hooks: Sequence[int]) -> None:
        super().__init__()
        self.transformer = BeitTransformer(config, hooks)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return four taps (B, 1 + N, D), level 0 first, for an image (B, 3, h, w)."""
        taps: list[Tensor] = self.transformer(image)
        return taps
