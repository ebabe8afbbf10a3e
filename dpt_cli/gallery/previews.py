"""Photographs and maps made small, as JPEG."""

import cv2
import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.uint8]

# The longer side of the photograph beside a map [px].
_PREVIEW_SIDE_PX = 1600
# Width and height of a thumbnail, and of its half [px]: the photograph left, the map right.
THUMBNAIL_WH = (360, 270)
_QUALITY = 85


def preview(rgb: RGB) -> bytes:
    """Return a photograph at the size in which the page shows it."""
    height, width = rgb.shape[:2]
    scale = min(1.0, _PREVIEW_SIDE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = rgb if scale == 1 else cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return _jpeg(np.asarray(small, np.uint8))


def thumbnail(photograph: RGB | None, map_picture: RGB) -> bytes:
    """Return a photograph and its map side by side; twice the map where the other is gone."""
    shown = _cropped(map_picture)
    return _jpeg(np.hstack([shown if photograph is None else _cropped(photograph), shown]))


def _cropped(rgb: RGB) -> RGB:
    """Return the middle of a picture at the size of a thumbnail."""
    (height, width), (to_width, to_height) = rgb.shape[:2], THUMBNAIL_WH
    scale = max(to_width / width, to_height / height)
    part_w, part_h = min(width, round(to_width / scale)), min(height, round(to_height / scale))
    left, top = (width - part_w) // 2, (height - part_h) // 2
    part = rgb[top : top + max(1, part_h), left : left + max(1, part_w)]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, THUMBNAIL_WH, interpolation=way), np.uint8)


def _jpeg(rgb: RGB) -> bytes:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes()
