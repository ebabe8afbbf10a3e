"""The transformer encoders: an image in, one tap per level out.

timm's modules run in a plain loop: no forward hooks, nothing patched.
"""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpt_cli.model.config import ResNetConfig, ViTConfig
from dpt_cli.model.timm_parts import Block, GroupNormAct, ResNetV2, pad_same


def resize_pos_embed(pos_embed: Tensor, from_hw: tuple[int, int], to_hw: tuple[int, int]) -> Tensor:
    """Resize a position embedding to another patch grid; the readout token's is kept apart.

    Args:
        pos_embed: (1, 1 + N, D), readout token first, N = from_hw[0] * from_hw[1].
        from_hw: Patch grid it was trained for.
        to_hw: Patch grid wanted.

    Returns:
        (1, 1 + to_hw[0] * to_hw[1], D).

    Source: DPT §3, "Handling varying image sizes"; isl-org/DPT, dpt/vit.py `_resize_pos_embed`.
    """
    if from_hw == to_hw:
        return pos_embed
    readout, grid = pos_embed[:, :1], pos_embed[:, 1:]
    grid = grid.transpose(1, 2).reshape(1, -1, *from_hw)  # (1, D, h, w)
    # parity: bilinear without antialias; timm's resampler is bicubic with antialias.
    grid = F.interpolate(grid, size=to_hw, mode="bilinear", align_corners=False)
    return torch.cat([readout, grid.flatten(2).transpose(1, 2)], dim=1)


def resize_pos_embed_bicubic(
    pos_embed: Tensor, from_hw: tuple[int, int], to_hw: tuple[int, int], offset: float
) -> Tensor:
    """Resize a position embedding as DINOv2 does; the readout token's is kept apart.

    Args:
        pos_embed: (1, 1 + N, D), readout token first, N = from_hw[0] * from_hw[1].
        from_hw: Patch grid it was trained for.
        to_hw: Patch grid wanted.
        offset: Added to the wanted sides before the scale is computed, except on the grid it was
            trained for [patches].

    Returns:
        (1, 1 + to_hw[0] * to_hw[1], D).

    Source: DepthAnything/Depth-Anything-V2, depth_anything_v2/dinov2.py
        `interpolate_pos_encoding`.
    """
    if from_hw == to_hw and not _is_tracing():
        return pos_embed
    # Tensors, not `or`: a trace has to hold for every size.
    changes = [torch.as_tensor(side != own) for side, own in zip(to_hw, from_hw, strict=True)]
    offset_if_resized = offset * (changes[0] | changes[1])
    readout = pos_embed[:, :1]
    grid = pos_embed[:, 1:].reshape(1, *from_hw, -1)  # (1, h, w, D)
    rows, columns = (
        _bicubic_weights(size, source_size, offset_if_resized, pos_embed)
        for size, source_size in zip(to_hw, from_hw, strict=True)
    )
    # parity: F.interpolate with this scale would do, but tracing fixes a scale, not a size.
    resized = torch.einsum("yh,bhwd,xw->byxd", rows, grid, columns)
    return torch.cat([readout, resized.flatten(1, 2)], dim=1)


def _is_tracing() -> bool:
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined,no-untyped-call]  # its stubs


def _bicubic_weights(size: int, source_size: int, offset: Tensor, like: Tensor) -> Tensor:
    """Return the (size, source_size) matrix of bicubic weights, align_corners=False.

    Edges are repeated, and the coefficient is torch's, -0.75.
    """
    a = -0.75
    steps = torch.arange(size, device=like.device).to(torch.float32)
    position = (steps + 0.5) * (source_size / (size + offset)) - 0.5
    taps = torch.arange(-2, source_size + 2, device=like.device).to(torch.float32)
    x = (position[:, None] - taps).abs()  # (size, source_size + 4)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    weights = torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
    first = weights[:, :3].sum(1, keepdim=True)
    last = weights[:, -3:].sum(1, keepdim=True)
    return torch.cat([first, weights[:, 3:-3], last], dim=1).to(like.dtype)


class Transformer(nn.Module):
    """Transformer layers over patch tokens, readout token first (DPT §3, eq. tokens t^l)."""

    def __init__(self, config: ViTConfig, hooks: Sequence[int], patches: nn.Conv2d) -> None:
        super().__init__()
        dim, (grid_h, grid_w) = config.embed_dim, config.grid_hw
        self.grid_hw = config.grid_hw
        self.position, self.position_offset = config.position, config.position_offset
        self.hooks = tuple(hooks)
        self.patches = patches
        self.readout_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid_h * grid_w, dim))
        nn.init.trunc_normal_(self.readout_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.blocks = nn.ModuleList(
            Block(
                dim=dim,
                num_heads=config.num_heads,
                mlp_ratio=config.mlp_ratio,
                qkv_bias=True,
                init_values=1.0 if config.layer_scale else None,
                # parity: 1e-6 as in timm's ViT; torch's default is 1e-5.
                norm_layer=partial(nn.LayerNorm, eps=1e-6),  # type: ignore[arg-type]  # timm's own use
            )
            for _ in range(self.hooks[-1] + 1)
        )
        self.norm = nn.LayerNorm(dim, eps=1e-6) if config.norm_taps else nn.Identity()

    def forward(self, features: Tensor) -> list[Tensor]:
        """Embed a feature map or image, and return the hooked blocks' tokens.

        Args:
            features: (B, C, h, w), the input of the patch projection.

        Returns:
            One (B, 1 + N, D) per hook, readout token first.
        """
        x = self.patches(features)  # (B, D, h/p, w/p)
        grid_hw = (x.shape[2], x.shape[3])
        x = x.flatten(2).transpose(1, 2)  # (B, N, D)
        x = torch.cat([self.readout_token.expand(x.shape[0], -1, -1), x], dim=1)  # (B, 1 + N, D)
        x = x + self._positions(grid_hw)
        taps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.hooks:
                taps.append(self.norm(x))
        return taps

    def _positions(self, grid_hw: tuple[int, int]) -> Tensor:
        if self.position == "bilinear":
            return resize_pos_embed(self.pos_embed, self.grid_hw, grid_hw)
        return resize_pos_embed_bicubic(self.pos_embed, self.grid_hw, grid_hw, self.position_offset)


class ViTEncoder(nn.Module):
    """A plain ViT whose four taps are all tokens (DPT §3, ViT-Base and ViT-Large; DINOv2)."""

    def __init__(self, config: ViTConfig, hooks: Sequence[int]) -> None:
        super().__init__()
        patches = nn.Conv2d(
            3, config.embed_dim, kernel_size=config.patch_px, stride=config.patch_px
        )
        self.transformer = Transformer(config, hooks, patches)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return four taps (B, 1 + N, D), level 0 first, for an image (B, 3, h, w)."""
        taps: list[Tensor] = self.transformer(image)
        return taps


class HybridEncoder(nn.Module):
    """ResNet stages, then a ViT on the last one's output (DPT §3, ViT-Hybrid)."""

    def __init__(self, config: ViTConfig, resnet: ResNetConfig, hooks: Sequence[int]) -> None:
        super().__init__()
        # parity: post-activation bottlenecks, as the published weights need; the paper's
        # supplement calls them pre-activation.
        trunk = ResNetV2(
            layers=list(resnet.stage_depths),
            channels=resnet.stage_widths,
            stem_chs=resnet.stem_width,
            num_classes=0,
            global_pool="",
            preact=False,
            stem_type="same",
            conv_layer=StandardizedConv2d,
            norm_layer=partial(GroupNormAct, num_groups=resnet.norm_groups),
        )
        self.stem = trunk.stem
        self.stages = trunk.stages
        patches = nn.Conv2d(resnet.stage_widths[-1], config.embed_dim, kernel_size=1)
        self.transformer = Transformer(config, hooks, patches)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return four taps, level 0 first, for an image (B, 3, h, w).

        Levels 0 and 1 are feature maps (B, C, h/4, w/4) and (B, C, h/8, w/8); levels 2 and 3 are
        tokens (B, 1 + N, D).
        """
        x = self.stem(image)
        stage_outputs = []
        for stage in self.stages:
            x = stage(x)
            stage_outputs.append(x)
        tokens: list[Tensor] = self.transformer(x)
        return [*stage_outputs[:2], *tokens]


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, which is uneven where the stride is 2.

    Source: timm 0.4.5 `conv2d_same`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            dilation=dilation,
            groups=groups,
            bias=False,
            device=device,
            dtype=dtype,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, h, w) to (B, C', ceil(h / stride), ceil(w / stride))."""
        return self._convolve(x, self.weight)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.stride == (1, 1):
            return F.conv2d(x, weight, None, 1, "same", self.dilation, self.groups)
        x = pad_same(x, list(self.kernel_size), list(self.stride), list(self.dilation))
        return F.conv2d(x, weight, None, self.stride, 0, self.dilation, self.groups)


class StandardizedConv2d(SameConv2d):
    """The same convolution with standardised weights.

    Source: Qiao et al. 2019, arXiv 1903.10520; timm 0.4.5 `StdConv2dSame`, whose epsilon the
    published numbers came from.
    """

    # parity: added to the deviation; timm since 0.4.12 adds 1e-8 to the variance instead, which
    # moves the outputs by up to 1e-4.
    eps = 1e-5

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, h, w) to (B, C', ceil(h / stride), ceil(w / stride))."""
        return self._convolve(x, self.standardized_weight())

    def standardized_weight(self) -> Tensor:
        """Return the weight with mean 0 and deviation 1 in every output channel."""
        std, mean = torch.std_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        return (self.weight - mean) / (std + self.eps)
