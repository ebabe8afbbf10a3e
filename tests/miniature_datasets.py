"""Miniature data sets in their publishers' layouts: a few small pictures, written by the tests."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from front_door import picture

Floats = npt.NDArray[np.float64]

HEIGHT, WIDTH = 48, 64


def depth_m(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Floats:
    """Return depth of 1 to 6 m, smooth except for one edge, different for each seed."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    values: Floats = 3 + np.sin((4 + seed) * x + seed) + np.cos(5 * y - seed) + (x > 0.5)
    return values


def write_rgb(path: Path, seed: int, height: int = HEIGHT, width: int = WIDTH) -> None:
    """Write a photograph."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Encoded apart from its name: DIW's pictures end in .thumb, which is JPEG.
    suffix = path.suffix if path.suffix in (".png", ".jpg") else ".jpg"
    suffix = ".jpg" if path.suffix == ".JPG" else suffix
    path.write_bytes(cv2.imencode(suffix, picture(width, height, seed)[..., ::-1])[1].tobytes())


def write_png16(path: Path, depth: Floats, scale: float) -> None:
    """Write depth as a 16-bit PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.rint(depth * scale).astype(np.uint16))


def write_dpt(path: Path, depth: Floats) -> None:
    """Write Sintel's format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = np.float32(202021.25).tobytes() + np.array(depth.shape[::-1], "<i4").tobytes()
    path.write_bytes(head + depth.astype("<f4").tobytes())


def write_pfm(path: Path, values: Floats) -> None:
    """Write a portable float map, bottom row first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f"Pf\n{values.shape[1]} {values.shape[0]}\n-1.0\n".encode()
    path.write_bytes(head + values[::-1].astype("<f4").tobytes())


def sintel(root: Path) -> None:
    for seed in range(3):
        write_rgb(root / f"training/final/alley_1/frame_{seed:04}.png", seed)
        write_dpt(root / f"training/depth/alley_1/frame_{seed:04}.dpt", depth_m(seed))


def eth3d(root: Path) -> None:
    for seed in range(3):
        name = f"DSC_{seed:04}.JPG"
        write_rgb(root / "courtyard/images/dslr_images" / name, seed)
        truth = depth_m(seed)
        truth[0] = np.inf
        path = root / "courtyard/ground_truth_depth/dslr_images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(truth.astype("<f4").tobytes())


def tum(root: Path) -> None:
    folder = root / "rgbd_dataset_freiburg3_walking_static"
    colour, depth = [], []
    for seed in range(3):
        # The clocks differ by a hundredth of a second.
        write_rgb(folder / f"rgb/{seed}.png", seed)
        write_png16(folder / f"depth/{seed}.png", depth_m(seed), 5000)
        colour.append(f"{100 + seed}.00 rgb/{seed}.png")
        depth.append(f"{100 + seed}.01 depth/{seed}.png")
    (folder / "rgb.txt").write_text("# color images\n" + "\n".join([*colour, "200.0 rgb/0.png"]))
    (folder / "depth.txt").write_text("# depth maps\n" + "\n".join(depth))


def diw(root: Path) -> None:
    lines = []
    for seed in range(3):
        write_rgb(root / f"DIW_test/{seed}.thumb", seed)
        lines += [f"./DIW_test/{seed}.thumb", f"1,1,{HEIGHT},{WIDTH},>,{WIDTH},{HEIGHT}"]
    (root / "DIW_test.csv").write_text("\n".join(lines) + "\n")


def middlebury(root: Path) -> None:
    for seed, scene in enumerate(("Adirondack-perfect", "Motorcycle-perfect")):
        write_rgb(root / scene / "im0.png", seed)
        disparity = 100 * 0.2 / depth_m(seed) - 1.5
        disparity[0] = np.inf
        write_pfm(root / scene / "disp0.pfm", disparity)
        (root / scene / "calib.txt").write_text(
            "cam0=[100.0 0 32; 0 100.0 24; 0 0 1]\ncam1=[100.0 0 34; 0 100.0 24; 0 0 1]\n"
            "doffs=1.5\nbaseline=200.0\nwidth=64\nheight=48\n"
        )


def kitti(root: Path) -> None:
    lines = []
    for seed, (date, drive) in enumerate([("2011_09_26", "0002"), ("2011_09_26", "0009")]):
        name = f"{date}_drive_{drive}_sync"
        photograph = f"{date}/{name}/image_02/data/{seed:010}.png"
        truth = f"{name}/proj_depth/groundtruth/image_02/{seed:010}.png"
        write_rgb(root / photograph, seed, 360, 1220)
        split = "val" if drive == "0002" else "train"
        path = root / "data_depth_annotated" / split / truth
        write_png16(path, depth_m(seed, 360, 1220), 256)
        lines.append(f"{photograph} {truth} 721.5377")
    without = "2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png"
    lines.append(f"{without} None 721.5377")
    (root / "eigen.txt").write_text("\n".join(lines) + "\n")


def nyu(root: Path) -> None:
    """Write the two MATLAB files, 480 by 640 as the crop needs."""
    import h5py
    import scipy.io

    root.mkdir(parents=True, exist_ok=True)
    with h5py.File(root / "nyu_depth_v2_labeled.mat", "w") as file:
        # MATLAB stores columns first.
        pictures = [picture(640, 480, seed).transpose(2, 1, 0) for seed in range(3)]
        depths = [depth_m(seed, 480, 640).T for seed in range(3)]
        file["images"] = np.stack(pictures)
        file["rawDepths"] = np.stack(depths).astype(np.float32)
        file["depths"] = np.full_like(np.stack(depths), 7)  # filled: not what is measured
    scipy.io.savemat(root / "splits.mat", {"testNdxs": np.array([[1], [3]], np.uint16)})


def ade20k(root: Path) -> None:
    for seed in range(2):
        stem = f"ADE_val_{seed + 1:08}"
        write_rgb(root / f"ADEChallengeData2016/images/validation/{stem}.jpg", seed)
        labels = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) // 500 + seed) % 151
        path = root / f"ADEChallengeData2016/annotations/validation/{stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), labels.astype(np.uint8))


DEPTH: dict[str, Callable[[Path], None]] = {
    "sintel": sintel,
    "eth3d": eth3d,
    "tum": tum,
    "diw": diw,
    "middlebury": middlebury,
}
