"""Renders scenes with exact depth: rooms and streets of boxes and balls.

Their textures are cut from photographs. They show what the teacher blurs: sharp edges and straight
floors.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

SIDE_PX = 240
_RENDERED_PX = 300
_TEXTURE_PX = 256
_EYE_HEIGHT_M = (0.6, 2.2)
_FIELD_OF_VIEW_DEG = (40, 80)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Box:
    """A cuboid turned about the vertical axis; seen from inside, it is a room."""

    centre: Floats
    half_size: Floats
    yaw: float


@dataclass(frozen=True)
class Ball:
    """A sphere."""

    centre: Floats
    radius: float


@dataclass
class Surface:
    """Each ray's nearest hit: distance along the ray, normal, texture coordinates [m], solid."""

    distance: Floats
    normal: Floats
    uv: Floats
    solid: npt.NDArray[np.int32]


def render(
    photographs: list[npt.NDArray[np.uint8]], rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16]]:
    """Render a random scene.

    Returns:
        RGB uint8 (SIDE_PX, SIDE_PX, 3) and inverse depth [1/m] (SIDE_PX, SIDE_PX), 0 in the sky.
    """
    eye, rays = _camera(rng)
    is_room = rng.random() < 0.65
    solids = _room(rng) if is_room else _street(rng)
    surface = _trace(eye, rays, solids)
    light = rng.normal(size=3) + np.array([0, 1.5, 0])
    light /= np.linalg.norm(light)
    rgb = np.empty((*rays.shape[:2], 3), np.float32)
    rgb[:] = rng.uniform(120, 255, 3) if rng.random() < 0.5 else (170, 200, 240)
    for index in range(-1, len(solids)):
        hit = surface.solid == index
        if hit.any():
            texture, metres = _texture(photographs, rng)
            rgb[hit] = _look_up(texture, surface.uv[hit] / metres)
    shade = rng.uniform(0.35, 0.8) + 0.5 * np.abs(surface.normal @ light.astype(np.float32))
    met = np.isfinite(surface.distance)
    rgb[met] *= shade[met, None]
    # Rays have length 1 along the optical axis, so the distance along them is depth.
    depth = surface.distance
    if rng.random() < 0.4:
        haze = 1 - np.exp(-np.where(met, depth, 200.0) / rng.uniform(8, 60))
        rgb += (rng.uniform(100, 230, 3).astype(np.float32) - rgb) * haze[..., None]
    inverse_depth = np.where(met, 1 / np.maximum(depth, 0.05), 0).astype(np.float16)
    size = (SIDE_PX, SIDE_PX)
    small = cv2.resize(np.clip(rgb, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    return small, cv2.resize(
        inverse_depth.astype(np.float32), size, interpolation=cv2.INTER_NEAREST
    ).astype(np.float16)


def _camera(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the eye and one ray per pixel, (h, w, 3), of length 1 along the optical axis."""
    half = np.tan(np.radians(rng.uniform(*_FIELD_OF_VIEW_DEG)) / 2)
    ticks = (np.arange(_RENDERED_PX) + 0.5) / _RENDERED_PX * 2 - 1
    right, down = np.meshgrid(ticks * half, ticks * half)
    rays = np.stack([right, -down, np.ones_like(right)], axis=-1)
    pitch = np.radians(rng.normal(-8, 10))
    roll = np.radians(rng.normal(0, 3))
    cos, sin = np.cos(pitch), np.sin(pitch)
    tilt = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    cos, sin = np.cos(roll), np.sin(roll)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    eye = np.array([0, rng.uniform(*_EYE_HEIGHT_M), 0], np.float32)
    return eye, (rays @ (tilt @ turn).T).astype(np.float32)


def _room(rng: np.random.Generator) -> list[Box | Ball]:
    half_width, height, length = rng.uniform(1.5, 5), rng.uniform(2.3, 4), rng.uniform(3, 12)
    room = Box(
        _vector(rng.uniform(-1, 1), height / 2, length / 2 - 1),
        _vector(half_width, height / 2, length / 2 + 0.5),
        rng.uniform(-0.7, 0.7),
    )
    things = [
        _thing(rng, near=1.0, far=length, spread=half_width) for _ in range(rng.integers(2, 14))
    ]
    return [room, *things]


def _street(rng: np.random.Generator) -> list[Box | Ball]:
    things: list[Box | Ball] = []
    far = rng.uniform(10, 60)
    for side in (-1, 1):
        gap, z = rng.uniform(2, 12), rng.uniform(-5, 10)
        while z < far and rng.random() < 0.85:
            length, height = rng.uniform(2, 12), rng.uniform(2, 20)
            centre = _vector(side * (gap + length / 2), height / 2, z + length / 2)
            things.append(
                Box(centre, _vector(length / 2, height / 2, length / 2), rng.normal(0, 0.1))
            )
            z += length + rng.exponential(2)
    things += [
        _thing(rng, near=1.5, far=far, spread=0.5 * far, size=rng.uniform(1, 3))
        for _ in range(rng.integers(2, 14))
    ]
    return things


def _thing(
    rng: np.random.Generator, near: float, far: float, spread: float, size: float = 1
) -> Box | Ball:
    z = near * (far / near) ** rng.random()
    x = rng.uniform(-1, 1) * min(spread, 0.8 * z + 0.5)
    if rng.random() < 0.25:
        radius = size * rng.uniform(0.08, 0.6)
        lift = rng.exponential(0.4) if rng.random() < 0.5 else 0
        return Ball(_vector(x, radius + lift, z), radius)
    half = size * np.exp(rng.uniform(np.log(0.03), np.log(0.9), 3))
    lift = rng.exponential(0.7) if rng.random() < 0.4 else 0
    return Box(_vector(x, half[1] + lift, z), half.astype(np.float32), rng.uniform(-np.pi, np.pi))


def _trace(eye: Floats, rays: Floats, solids: list[Box | Ball]) -> Surface:
    shape = rays.shape[:2]
    surface = Surface(
        np.full(shape, np.inf, np.float32),
        np.zeros((*shape, 3), np.float32),
        np.zeros((*shape, 2), np.float32),
        np.full(shape, -2, np.int32),
    )
    down = np.minimum(rays[..., 1], -1e-6)
    ground = np.where(rays[..., 1] < -1e-3, -eye[1] / down, np.inf)
    point = eye + rays * np.where(np.isfinite(ground), ground, 0)[..., None]
    _meet(surface, -1, ground, np.broadcast_to(_vector(0, 1, 0), rays.shape), point[..., [0, 2]])
    for index, solid in enumerate(solids):
        meet = _meet_box if isinstance(solid, Box) else _meet_ball
        meet(surface, index, solid, eye, rays)
    return surface


def _meet(surface: Surface, index: int, distance: Floats, normal: Floats, uv: Floats) -> None:
    nearer = (distance > 0.05) & (distance < surface.distance)
    surface.distance[nearer] = distance[nearer]
    surface.normal[nearer] = normal[nearer]
    surface.uv[nearer] = uv[nearer]
    surface.solid[nearer] = index


def _meet_box(surface: Surface, index: int, box: Box, eye: Floats, rays: Floats) -> None:
    cos, sin = np.cos(box.yaw), np.sin(box.yaw)
    turn = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]], np.float32)
    start, heading = turn @ (eye - box.centre), rays @ turn.T
    heading = np.where(np.abs(heading) < 1e-6, 1e-6, heading)
    first = (-np.sign(heading) * box.half_size - start) / heading
    last = (np.sign(heading) * box.half_size - start) / heading
    enter, leave = first.max(axis=-1), last.min(axis=-1)
    inside = bool((np.abs(start) < box.half_size).all())
    distance = np.where(leave >= enter, leave if inside else enter, np.inf).astype(np.float32)
    axis = (last.argmin(axis=-1) if inside else first.argmax(axis=-1)).astype(np.int64)
    normal = np.eye(3, dtype=np.float32)[axis] @ turn
    point = start + heading * np.where(np.isfinite(distance), distance, 0)[..., None]
    others = np.array([[2, 1], [0, 2], [0, 1]])[axis]
    _meet(surface, index, distance, normal, np.take_along_axis(point, others, axis=-1))


def _meet_ball(surface: Surface, index: int, ball: Ball, eye: Floats, rays: Floats) -> None:
    start = eye - ball.centre
    a = (rays**2).sum(axis=-1)
    b = rays @ start
    under = b**2 - a * (start @ start - ball.radius**2)
    distance = np.where(under > 0, (-b - np.sqrt(np.maximum(under, 0))) / a, np.inf)
    normal = (start + rays * np.where(np.isfinite(distance), distance, 0)[..., None]) / ball.radius
    _meet(surface, index, distance.astype(np.float32), normal, normal[..., :2] * ball.radius)


def _texture(
    photographs: list[npt.NDArray[np.uint8]], rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], float]:
    """Return a square texture and its side [m]."""
    metres = float(np.exp(rng.uniform(np.log(0.3), np.log(5))))
    colour = rng.uniform(20, 250, 3)
    if rng.random() < 0.4:
        grain = cv2.resize(rng.normal(0, 1, (32, 32)), (_TEXTURE_PX, _TEXTURE_PX))
        plain = colour + rng.uniform(0, 12) * grain[..., None]
        return np.clip(plain, 0, 255).astype(np.uint8), metres
    photograph = photographs[rng.integers(len(photographs))]
    height, width = photograph.shape[:2]
    side = int(min(height, width) * rng.uniform(0.15, 0.9))
    y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
    cut = cv2.resize(photograph[y : y + side, x : x + side], (_TEXTURE_PX, _TEXTURE_PX))
    if rng.random() < 0.5:
        share = rng.uniform(0.3, 0.9)
        cut = (share * cut + (1 - share) * colour).astype(np.uint8)
    return cut, metres


def _look_up(texture: npt.NDArray[np.uint8], uv: Floats) -> npt.NDArray[np.uint8]:
    # Mirrored at each border, so that the texture repeats without seams.
    folded = np.abs((uv + 1) % 2 - 1) * (_TEXTURE_PX - 1)
    column, row = folded.astype(np.int64).T
    return texture[row, column]


def _vector(x: float, y: float, z: float) -> Floats:
    return np.array([x, y, z], np.float32)
