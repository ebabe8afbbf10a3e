"""Data sets as their publishers ship them: a root folder to photographs with their truth."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from dpt_cli.errors import InputError
from dpt_cli.evaluation.nyu import NyuFile, test_indices
from dpt_cli.evaluation.pairs import Pair, Pairs, read_lines
from dpt_cli.evaluation.truth import (
    DepthFile,
    DisparityFile,
    LabelFile,
    NyuDepth,
    PointPair,
    RawFloatFile,
)
from dpt_cli.metrics.datasets import KITTI_VALIDATION_DRIVES, ProtocolName
from dpt_cli.photos.find import BadInput

_KITTI_SCALE, _TUM_SCALE = 256, 5000
_TUM_MAX_DIFFERENCE_S = 0.02
_KITTI_DRIVE = re.compile(r"\d{4}_\d\d_\d\d_drive_\d{4}_sync")


def depth_pairs(
    dataset: str, root: Path, protocol: ProtocolName, listed: Path | None = None
) -> Pairs:
    """Return the photographs of a data set with their truth.

    Args:
        dataset: A name of `metrics.datasets.DATASETS`.
        root: The folder that the publisher's archives were unpacked in.
        protocol: Which pictures count.
        listed: For KITTI, the list of the Eigen test split.

    Raises:
        InputError: The folder does not look like the data set.
    """
    if not root.is_dir():
        raise InputError(f"{root}: there is no such folder")
    if dataset == "kitti":
        return _kitti(root, protocol, listed)
    pairs = tuple(_LAYOUTS[dataset](root))
    return _with_truth(dataset, root, pairs)


def ade20k_pairs(root: Path) -> Pairs:
    """Return the validation pictures of ADE20K (SceneParse150) with their classes.

    Raises:
        InputError: The folder does not look like the data set.
    """
    pairs = tuple(_ade20k(root))
    return _with_truth("ade20k", root, pairs)


def _with_truth(dataset: str, root: Path, pairs: tuple[Pair, ...]) -> Pairs:
    if not pairs:
        raise InputError(f"{root} does not look like {dataset}: expected {EXPECTED[dataset]}")
    missing = {pair.name for pair in pairs if not pair.truth.path.is_file()}
    failures = [
        BadInput(pair.photograph, f"its truth is missing: {pair.truth.path}")
        for pair in pairs
        if pair.name in missing
    ]
    return Pairs(tuple(pair for pair in pairs if pair.name not in missing), tuple(failures))


EXPECTED: Mapping[str, str] = {
    "nyu": "nyu_depth_v2_labeled.mat and splits.mat",
    "kitti": "the raw drives (2011_09_26/2011_09_26_drive_0002_sync/...) and the annotated depth "
    "(data_depth_annotated/val/... or val/...)",
    "eth3d": "SCENE/images/dslr_images and SCENE/ground_truth_depth/dslr_images",
    "sintel": "training/final and training/depth",
    "tum": "sequences with rgb.txt and depth.txt, or with associate.txt",
    "diw": "DIW_test.csv and the folder DIW_test",
    "middlebury": "scenes with im0.png, disp0.pfm and calib.txt",
    "ade20k": "images/validation and annotations/validation",
}
"""What the root of each data set holds."""


def _nyu(root: Path) -> Iterator[Pair]:
    path, splits = root / "nyu_depth_v2_labeled.mat", root / "splits.mat"
    if not (path.is_file() and splits.is_file()):
        return
    num_pictures = NyuFile.of(path).num_pictures
    for index in test_indices(splits):
        if not 0 <= index < num_pictures:
            raise InputError(f"{splits} names picture {index + 1}; {path} has {num_pictures}")
        name = f"{path.name}#{index + 1}"
        yield Pair(name, root / name, NyuDepth(path, index))


def _kitti(root: Path, protocol: ProtocolName, listed: Path | None) -> Pairs:
    if listed is None:
        raise InputError(
            "KITTI's pictures are those of the Eigen test split: give its list with --list, a line "
            "per picture: 2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png ..."
        )
    pairs, failures, num_without = [], [], 0
    for number, line in enumerate(read_lines(listed), 1):
        if not line:
            continue
        photograph = line.split()[0]
        drive = _KITTI_DRIVE.search(photograph)
        if drive is None:
            raise InputError(f"{listed}, line {number}: no KITTI drive in {line!r}")
        if protocol == "zero-shot" and drive[0] not in KITTI_VALIDATION_DRIVES:
            continue
        words = line.split()
        if len(words) > 1 and words[1] == "None":
            num_without += 1
            continue
        path = root / photograph
        truth = _kitti_truth(root, drive[0], path.stem)
        if truth is None:
            failures.append(BadInput(path, f"no annotated depth for {drive[0]} {path.stem}"))
        else:
            pairs.append(Pair(photograph, path, DepthFile(truth, _KITTI_SCALE)))
    if not pairs:
        raise InputError(f"{root} does not look like kitti: expected {EXPECTED['kitti']}")
    remark = f"{num_without} pictures of the list have no annotated depth" if num_without else ""
    return Pairs(tuple(pairs), tuple(failures), remark)


def _kitti_truth(root: Path, drive: str, frame: str) -> Path | None:
    below = Path(drive, "proj_depth", "groundtruth", "image_02", f"{frame}.png")
    for top in ("data_depth_annotated", ""):
        for split in ("val", "train", ""):
            if (path := root / top / split / below).is_file():
                return path
    return None


def _eth3d(root: Path) -> Iterator[Pair]:
    for depth in sorted(root.glob("**/ground_truth_depth/dslr_images")):
        scene = depth.parents[1]
        for truth in sorted(path for path in depth.iterdir() if path.is_file()):
            photograph = scene / "images" / "dslr_images" / truth.name
            yield Pair(photograph.relative_to(root).as_posix(), photograph, RawFloatFile(truth))


def _sintel(root: Path) -> Iterator[Pair]:
    top = root / "training" if (root / "training").is_dir() else root
    for photograph in sorted((top / "final").glob("*/*.png")):
        truth = (top / "depth" / photograph.relative_to(top / "final")).with_suffix(".dpt")
        yield Pair(photograph.relative_to(root).as_posix(), photograph, DepthFile(truth))


def _tum(root: Path) -> Iterator[Pair]:
    folders = sorted({path.parent for path in root.rglob("depth.txt")})
    folders += sorted({path.parent for path in root.rglob("associate.txt")} - set(folders))
    for folder in folders:
        for photograph, truth in _tum_frames(folder):
            path = folder / photograph
            yield Pair(
                path.relative_to(root).as_posix(), path, DepthFile(folder / truth, _TUM_SCALE)
            )


def _tum_frames(folder: Path) -> Iterator[tuple[str, str]]:
    associated = folder / "associate.txt"
    if associated.is_file():
        for line in read_lines(associated):
            words = line.split()
            if line.startswith("#") or not words:
                continue
            if len(words) != 4:
                raise InputError(f"{associated}: expected time, file, time, file: {line!r}")
            yield (words[1], words[3]) if words[1].startswith("rgb") else (words[3], words[1])
        return
    colour, depth = _timed(folder / "rgb.txt"), _timed(folder / "depth.txt")
    yield from ((colour[a], depth[b]) for a, b in associate(list(colour), list(depth)))


def _timed(path: Path) -> dict[float, str]:
    """Return the files of a TUM list by their time [s]."""
    frames = {}
    for line in read_lines(path):
        if line and not line.startswith("#"):
            time, _, name = line.partition(" ")
            try:
                frames[float(time)] = name.strip()
            except ValueError as error:
                raise InputError(f"{path}: expected a time and a file: {line!r}") from error
    return frames


def associate(
    times: list[float], others: list[float], max_difference_s: float = _TUM_MAX_DIFFERENCE_S
) -> list[tuple[float, float]]:
    """Pair times that lie close together, the closest first, each once; in order of time.

    Source: TUM RGB-D benchmark, associate.py, with its default of 0.02 s.
    """
    import bisect

    others = sorted(others)
    close = []
    for time in times:
        first = bisect.bisect_left(others, time - max_difference_s)
        for other in others[first:]:
            if other - time >= max_difference_s:
                break
            if abs(time - other) < max_difference_s:
                close.append((abs(time - other), time, other))
    free, free_others, matches = set(times), set(others), []
    for _, time, other in sorted(close):
        if time in free and other in free_others:
            free.remove(time)
            free_others.remove(other)
            matches.append((time, other))
    return sorted(matches)


def _diw(root: Path) -> Iterator[Pair]:
    """Pair photographs with one judgement each: a line with the path, a line with the points.

    The second is y_A, x_A, y_B, x_B, relation, width, height; pixels count from 1, and > means that
    A is farther. The publisher documents neither; both are read as others read them.
    """
    listed = root / "DIW_test.csv"
    if not listed.is_file():
        listed = root / "DIW_Annotations" / "DIW_test.csv"
    if not listed.is_file():
        return
    lines = [line for line in read_lines(listed) if line]
    for number in range(0, len(lines) - 1, 2):
        name, words = lines[number].removeprefix("./"), lines[number + 1].split(",")
        try:
            a_y, a_x, b_y, b_x = (int(word) - 1 for word in words[:4])
            is_a_nearer = {"<": True, ">": False}[words[4].strip()]
            width, height = int(words[5]), int(words[6])
        except (ValueError, KeyError, IndexError) as error:
            raise InputError(f"{listed}, line {number + 2}: {lines[number + 1]!r}") from error
        photograph = root / name
        if not photograph.is_file() and (root / "DIW_test" / Path(name).name).is_file():
            photograph = root / "DIW_test" / Path(name).name
        truth = PointPair(listed, (a_y, a_x), (b_y, b_x), is_a_nearer, (height, width))
        yield Pair(name, photograph, truth)


def _middlebury(root: Path) -> Iterator[Pair]:
    for calibration in sorted(root.rglob("calib.txt")):
        folder = calibration.parent
        if not (folder / "im0.png").is_file():
            continue
        text = "\n".join(read_lines(calibration))
        try:
            focal = float(re.search(r"cam0\s*=\s*\[\s*([\d.]+)", text)[1])  # type: ignore[index]  # caught
            offset = float(re.search(r"doffs\s*=\s*(-?[\d.]+)", text)[1])  # type: ignore[index]
            baseline = float(re.search(r"baseline\s*=\s*([\d.]+)", text)[1])  # type: ignore[index]
        except TypeError as error:
            raise InputError(f"{calibration}: expected cam0, doffs and baseline") from error
        name = (folder / "im0.png").relative_to(root).as_posix()
        # The baseline is in millimetres.
        truth = DisparityFile(folder / "disp0.pfm", focal, baseline / 1000, offset)
        yield Pair(name, folder / "im0.png", truth)


def _ade20k(root: Path) -> Iterator[Pair]:
    tops = [root, root / "ADEChallengeData2016"]
    top = next((path for path in tops if (path / "images" / "validation").is_dir()), root)
    for photograph in sorted((top / "images" / "validation").glob("*.jpg")):
        truth = top / "annotations" / "validation" / f"{photograph.stem}.png"
        yield Pair(photograph.name, photograph, LabelFile(truth))


_LAYOUTS: Mapping[str, Callable[[Path], Iterator[Pair]]] = {
    "nyu": _nyu,
    "eth3d": _eth3d,
    "sintel": _sintel,
    "tum": _tum,
    "diw": _diw,
    "middlebury": _middlebury,
}
