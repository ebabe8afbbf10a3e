"""What one photograph costs besides the network: CPU seconds by stage, on one core.

    python benchmarks/stages.py --photo FILE [--model tiny] [--count 7]

The photograph is enlarged to 4000 x 3000. Each figure is the median of several calls in one thread,
with the least and the greatest. Files go to memory: hashing is counted, the disk is not.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import click
import cv2

_SIZE = (4000, 3000)
_NETWORK_HW = (384, 512)
_FORMATS = ("color", "npy", "png16")


class _Memory:
    """Takes a file's bytes as the writer of files does, without the disk."""

    def __init__(self) -> None:
        self.num_bytes, self._hash = 0, hashlib.sha256()

    def write(self, data: bytes | memoryview, /) -> None:
        self._hash.update(data)
        self.num_bytes += len(data) if isinstance(data, bytes) else data.nbytes


@click.command()
@click.option("--photo", type=click.Path(path_type=Path), required=True)
@click.option("--model", default="tiny", show_default=True)
@click.option("--count", default=7, show_default=True)
def main(photo: Path, model: str, count: int) -> None:
    """Print the stages of one 12-megapixel JPEG."""
    import dpt_cli
    from dpt_cli.formats.table import DEFAULT_OPTIONS, formats_of
    from dpt_cli.photos.decode import decode_photo
    from dpt_cli.predict.postprocess import resize_depth
    from dpt_cli.predict.preprocess import network_input

    cv2.setNumThreads(1)
    large = cv2.resize(cv2.imread(str(photo)), _SIZE, interpolation=cv2.INTER_LANCZOS4)
    data = cv2.imencode(".jpg", large)[1].tobytes()
    predictor = dpt_cli.load(model, engine="torch")
    spec = predictor.spec
    rgb = decode_photo(data).rgb
    depth_map = predictor(rgb)
    raw = cv2.resize(depth_map.values, _NETWORK_HW[::-1], interpolation=cv2.INTER_AREA)

    def written(name: str) -> int:
        file = _Memory()
        formats_of("depth")[name].write(file, depth_map, None, DEFAULT_OPTIONS["depth"])
        return file.num_bytes

    _show("hash the JPEG", count, lambda: hashlib.sha256(data).digest())
    _show("decode", count, lambda: decode_photo(data))
    for way in ("cubic", "area"):
        by_way = replace(spec.input, interpolation=way)
        _show(f"resize, {way}", count, lambda it=by_way: network_input(rgb, _NETWORK_HW, it))
    _show("resize back", count, lambda: resize_depth(raw, rgb.shape[:2], spec.output))
    for name in _FORMATS:
        megabytes = written(name) / 1e6
        _show(f"write {name}, {megabytes:.1f} MB", count, lambda name=name: written(name))


def _show(stage: str, count: int, do: Callable[[], Any]) -> None:
    do()
    seconds = []
    for _ in range(count):
        started = time.thread_time()
        do()
        seconds.append(time.thread_time() - started)
    click.echo(f"{stage:28} {median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f})")


if __name__ == "__main__":
    main()
