"""Sums up a benchmark in a sentence or two: what is fast, what is detailed, what does not fit."""

from collections.abc import Sequence

from dpt_cli.bench.rows import Row


def advise(rows: Sequence[Row], *, has_bf16: bool = False) -> str:
    """Return advice that follows from the measured rows.

    Args:
        rows: All rows.
        has_bf16: Whether the CPU has bf16 in hardware.
    """
    measured = [row for row in rows if row.is_measured]
    if not measured:
        sentences = ["Nothing was measured."]
    elif len(measured) == 1:
        sentences = ["Only one setting was measured, so there is nothing to compare."]
    else:
        sentences = [_compare(measured)]
    if has_bf16 and any(row.device == "cpu" for row in measured) and not _have_bf16(rows):
        sentences.append("This CPU has bf16 in hardware: compare --precision fp32,bf16.")
    too_large = [row for row in rows if row.status in ("skipped", "out of memory")]
    if too_large:
        sentences.append(f"Does not fit into memory: {_listed(too_large, rows)}.")
    return " ".join(sentences)


def _have_bf16(rows: Sequence[Row]) -> bool:
    return any(row.setting.precision == "bf16" for row in rows)


def _compare(measured: Sequence[Row]) -> str:
    fastest = max(measured, key=lambda row: row.pictures_per_second)
    speed = f"For speed {_name(fastest, measured)}: {_rate(fastest)}{_drift(fastest)}"
    # If the times of two settings overlap, it is chance which one was faster.
    equal = [row for row in measured if row is not fastest and _overlap(row, fastest)]
    if equal:
        speed += f", the same within the spread of the runs as {_listed(equal, measured)}"
    num_pixels = max(row.setting.num_pixels for row in measured)
    if num_pixels == min(row.setting.num_pixels for row in measured):
        return f"{speed}."
    largest = [row for row in measured if row.setting.num_pixels == num_pixels]
    finest = max(largest, key=lambda row: row.pictures_per_second)
    if finest is fastest:
        return f"{speed}, and no other size has more pixels."
    pixels = num_pixels / fastest.setting.num_pixels
    slowdown = fastest.pictures_per_second / finest.pictures_per_second
    time = "the same time" if finest in equal else f"{slowdown:.1f} times the time"
    detail = (
        f"for detail {_name(finest, measured)}: {pixels:.1f} times the pixels at {time}"
        f"{_drift(finest)}"
    )
    return f"{speed}; {detail}."


def _drift(row: Row) -> str:
    if row.drift is None:
        return ""
    if row.setting.spec.task == "segment":
        return f", drift {100 * row.drift:.1f} % of the pixels"
    return f", drift {row.drift:.3f} AbsRel"


def _overlap(one: Row, other: Row) -> bool:
    (one_low, one_high), (other_low, other_high) = (
        [seconds / row.setting.batch_size for seconds in row.spread_s] for row in (one, other)
    )
    return one_low <= other_high and other_low <= one_high


def _rate(row: Row) -> str:
    rate = row.pictures_per_second
    return f"{rate:.1f} pictures per second" if rate >= 1 else f"{1 / rate:.1f} s per picture"


def _listed(rows: Sequence[Row], among: Sequence[Row]) -> str:
    names = [_name(row, among) for row in rows]
    if len(names) > 3:
        names = [*names[:2], f"{len(names) - 2} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _name(row: Row, among: Sequence[Row]) -> str:
    """Return a name for a setting: its size, and whatever else differs among the rows."""
    height, width = row.setting.network_hw
    others = [other.setting for other in among]
    name = f"{width}×{height}"
    if len({other.spec.id for other in others}) > 1:
        name = f"{row.setting.spec.name} at {name}"
    if len({other.batch_size for other in others}) > 1:
        name += f" in batches of {row.setting.batch_size}"
    if len({other.precision for other in others}) > 1:
        name += f" in {row.setting.precision}"
    return name
