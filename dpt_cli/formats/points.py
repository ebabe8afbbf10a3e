"""Point clouds as PLY and as binary glTF, from depth in metres."""

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dpt_cli.errors import OutputError
from dpt_cli.formats.files import Writer
from dpt_cli.maps.camera import DEFAULT_FOV_DEG, Camera
from dpt_cli.maps.facts import describe, facts_of
from dpt_cli.maps.points import Points, points_from_depth
from dpt_cli.maps.types import DepthMap

RGB = npt.NDArray[np.uint8]
Options = Mapping[str, Any]

# From the glTF 2.0 specification: component types, the target of vertex data, the mode of points.
_FLOAT, _UNSIGNED_BYTE, _ARRAY_BUFFER, _POINTS = 5126, 5121, 34962, 0


def ply(file: Writer, depth_map: DepthMap, rgb: RGB | None, options: Options) -> dict[str, Any]:
    """Write depth in metres as a PLY point cloud; return how many points it has and lacks."""
    depth_map, points = _points(depth_map, rgb, options)
    reported = _reported(depth_map, points)
    axes = {"axes": "x right, y down, z forward; the camera is at the origin"}
    counts = {key: str(value) for key, value in reported.items()}
    write_ply(file, points, describe(depth_map) | axes | counts)
    return reported


def glb(file: Writer, depth_map: DepthMap, rgb: RGB | None, options: Options) -> dict[str, Any]:
    """Write depth in metres as a GLB point cloud; return how many points it has and lacks."""
    depth_map, points = _points(depth_map, rgb, options)
    reported = _reported(depth_map, points)
    axes = {"axes": "x right, y up, z backward; the camera is at the origin and looks along -z"}
    write_glb(file, points, facts_of(depth_map) | axes | reported)
    return reported


def _points(depth_map: DepthMap, rgb: RGB | None, options: Options) -> tuple[DepthMap, Points]:
    """Return the points, and the map with the camera that they assume."""
    map_hw = depth_map.values.shape
    if depth_map.is_stretched:
        photo_hw = depth_map.provenance.photo_hw or map_hw
        raise OutputError(
            f"the map has {map_hw[1]} x {map_hw[0]} pixels of a photograph of {photo_hw[1]} x "
            f"{photo_hw[0]}, another shape: points need square pixels, so use --size photo or "
            "--size N"
        )
    camera = depth_map.camera or Camera.from_fov(DEFAULT_FOV_DEG, map_hw, "default")
    network_hw = depth_map.network_hw or map_hw
    points = points_from_depth(
        depth_map.values,
        camera.focal_px,
        rgb,
        edge_threshold=options["edge_threshold"],
        edge_px=max(1, round(map_hw[0] / network_hw[0])),
        max_points=options["max_points"],
    )
    if not len(points.xyz_m):
        raise OutputError(
            f"no point is left: {points.num_on_edges} pixels lie on depth edges, and the others "
            "have no depth; raise --edge-threshold, or give 0 to keep edges"
        )
    return replace(depth_map, camera=camera), points


def _reported(depth_map: DepthMap, points: Points) -> dict[str, Any]:
    reported: dict[str, Any] = {
        "num_points": len(points.xyz_m),
        "num_on_edges": points.num_on_edges,
        "num_thinned": points.num_thinned,
    }
    if depth_map.camera is not None and depth_map.camera.source == "default":
        reported["assumed_fov_deg"] = DEFAULT_FOV_DEG
    return reported


def write_ply(file: Writer, points: Points, comments: Mapping[str, str]) -> None:
    """Write points as binary PLY, `x y z` float, and `red green blue` uchar if they have colours.

    The axes stay the camera's: x right, y down, z forward.

    Args:
        file: Takes the bytes.
        points: The points.
        comments: Lines of the header, as key and text.
    """
    names = [("x", "float"), ("y", "float"), ("z", "float")]
    row = [("xyz", "<f4", 3)]
    if points.rgb is not None:
        names += [("red", "uchar"), ("green", "uchar"), ("blue", "uchar")]
        row += [("rgb", "u1", 3)]
    vertices = np.empty(len(points.xyz_m), row)
    vertices["xyz"] = points.xyz_m
    if points.rgb is not None:
        vertices["rgb"] = points.rgb
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        *(f"comment {key}: {_one_line(text)}" for key, text in comments.items()),
        f"element vertex {len(vertices)}",
        *(f"property {kind} {name}" for name, kind in names),
        "end_header\n",
    ]
    file.write("\n".join(lines).encode("ascii"))
    file.write(vertices.tobytes())


def write_glb(file: Writer, points: Points, extras: Mapping[str, Any]) -> None:
    """Write points as binary glTF 2.0, one primitive of mode POINTS.

    glTF's axes are x right, y up and z backward, so y and z change sign. Its vertex colours are
    linear, so the sRGB curve is undone.

    Args:
        file: Takes the bytes.
        points: The points; at least one, as glTF knows no empty mesh.
        extras: JSON values for `asset.extras`.

    Raises:
        ValueError: There is no point.
    """
    if not len(points.xyz_m):
        raise ValueError("no point is left to write")
    xyz = points.xyz_m * np.array([1, -1, -1], np.float32)
    # Turns -0.0 into 0.0, so that zero is always written in the same way.
    xyz += np.float32(0)
    bounds = {"min": xyz.min(0).tolist(), "max": xyz.max(0).tolist()}
    accessors = [_accessor(0, xyz, _FLOAT, "VEC3") | bounds]
    attributes, parts = {"POSITION": 0}, [xyz.astype("<f4").tobytes()]
    if points.rgb is not None:
        # Four bytes, as glTF aligns attributes to four. Sixteen bits per channel would keep dark
        # tones apart, but trimesh 5.2 reads such colours modulo 256.
        rgba = np.full((len(xyz), 4), 255, np.uint8)
        rgba[:, :3] = _LINEAR[points.rgb]
        accessors.append(_accessor(1, rgba, _UNSIGNED_BYTE, "VEC4") | {"normalized": True})
        attributes["COLOR_0"] = 1
        parts.append(rgba.tobytes())
    document = {
        "asset": {"version": "2.0", "generator": "dpt", "extras": dict(extras)},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": attributes, "mode": _POINTS}]}],
        "accessors": accessors,
        "bufferViews": _views(parts),
        "buffers": [{"byteLength": sum(map(len, parts))}],
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")
    text += b" " * (-len(text) % 4)
    num_bytes = sum(map(len, parts))
    file.write(struct.pack("<4s2I", b"glTF", 2, 12 + 8 + len(text) + 8 + num_bytes))
    file.write(struct.pack("<I4s", len(text), b"JSON") + text)
    file.write(struct.pack("<I4s", num_bytes, b"BIN\0"))
    for part in parts:
        file.write(part)


def _accessor(view: int, array: npt.NDArray[Any], component: int, kind: str) -> dict[str, Any]:
    return {"bufferView": view, "componentType": component, "count": len(array), "type": kind}


def _views(parts: list[bytes]) -> list[dict[str, int]]:
    views, offset = [], 0
    for part in parts:
        place = {"buffer": 0, "byteOffset": offset, "byteLength": len(part)}
        views.append({**place, "target": _ARRAY_BUFFER})
        offset += len(part)
    return views


def _one_line(text: str) -> str:
    """Return a text as one line of ASCII, which is all that PLY's header may hold."""
    return " ".join(text.split()).encode("ascii", "backslashreplace").decode("ascii")


def _linear_levels() -> npt.NDArray[np.uint8]:
    """Return the 256 levels of sRGB in linear light (IEC 61966-2-1), as whole levels."""
    srgb = np.arange(256) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    levels: npt.NDArray[np.uint8] = np.rint(linear * 255).astype(np.uint8)
    return levels


_LINEAR = _linear_levels()
