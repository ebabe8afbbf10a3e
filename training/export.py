"""Exports a checkpoint's averaged weights to one file per network."""

from pathlib import Path

import torch
from safetensors.torch import save_file

NAMES = {"depth": "dpt_tiny-depth.safetensors", "labels": "dpt_tiny-ade20k.safetensors"}


def export(checkpoint: Path, folder: Path) -> list[Path]:
    """Write each network's averaged weights in half precision, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    average = torch.load(checkpoint, map_location="cpu")["average"]
    written = []
    for part, name in NAMES.items():
        prefix = f"{part}."
        tensors = {
            # The step counter of a batch norm is an integer.
            key.removeprefix(prefix): value.half().contiguous()
            if value.is_floating_point()
            else value
            for key, value in average.items()
            if key.startswith(prefix)
        }
        target = folder / name
        save_file(tensors, target)
        written.append(target)
    return written
