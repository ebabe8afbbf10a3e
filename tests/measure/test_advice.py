"""The advice follows from the rows."""

from dataclasses import replace
from typing import Any

import pytest

from dpt_cli.bench.advice import advise
from dpt_cli.bench.rows import Row, Setting
from dpt_cli.checkpoint.registry import load_registry

SPEC = load_registry().find("depth", "hybrid")
LARGE = load_registry().find("depth", "large")
SEGMENT = load_registry().find("segment", "hybrid")


def row(
    side: int,
    *seconds: float,
    spec: Any = SPEC,
    batch: int = 1,
    precision: str = "fp32",
    **fields: Any,
) -> Row:
    setting = Setting(spec, (side, side), batch, precision)
    return Row(setting, "cpu", "w", seconds=seconds, **fields)


def skipped(side: int) -> Row:
    return row(side, status="skipped", note="too large")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "Nothing was measured."),
        ([row(384, 1.0)], "Only one setting was measured, so there is nothing to compare."),
        (
            [row(384, 2.0), row(768, 9.0)],
            "For speed 384×384: 2.0 s per picture; for detail 768×768: 4.0 times the pixels at "
            "4.5 times the time.",
        ),
        (
            [row(384, 0.1, drift=0.0), row(768, 0.9, drift=0.0714)],
            "For speed 384×384: 10.0 pictures per second, drift 0.000 AbsRel; for detail 768×768: "
            "4.0 times the pixels at 9.0 times the time, drift 0.071 AbsRel.",
        ),
        (
            [row(384, 0.5, spec=SEGMENT, drift=0.021), row(768, 2.0, spec=SEGMENT)],
            "For speed 384×384: 2.0 pictures per second, drift 2.1 % of the pixels; for detail "
            "768×768: 4.0 times the pixels at 4.0 times the time.",
        ),
        (
            [row(384, 1.0), row(384, 2.0, batch=4), row(384, 3.0, batch=16)],
            "For speed 384×384 in batches of 16: 5.3 pictures per second.",
        ),
        (
            [row(384, 1.0), row(384, 0.5, precision="bf16"), row(384, 3.0, spec=LARGE)],
            "For speed hybrid at 384×384 in bf16: 2.0 pictures per second.",
        ),
        (
            [row(384, 1.0, 1.2), row(384, 1.1, 1.3, spec=LARGE)],
            "For speed hybrid at 384×384: 1.1 s per picture, the same within the spread of the "
            "runs as large at 384×384.",
        ),
        (
            [row(384, 1.0, 1.4), row(768, 1.1, 1.5)],
            "For speed 384×384: 1.2 s per picture, the same within the spread of the runs as "
            "768×768; for detail 768×768: 4.0 times the pixels at the same time.",
        ),
        (
            [row(384, 9.0), row(768, 2.0)],
            "For speed 768×768: 2.0 s per picture, and no other size has more pixels.",
        ),
        (
            [row(384, 1.0), row(768, 4.0), row(768, 3.0, batch=2)],
            "For speed 384×384 in batches of 1: 1.0 pictures per second; for detail 768×768 in "
            "batches of 2: 4.0 times the pixels at 1.5 times the time.",
        ),
        (
            [row(384, 1.0), skipped(4096)],
            "Only one setting was measured, so there is nothing to compare. Does not fit into "
            "memory: 4096×4096.",
        ),
        (
            [row(384, status="out of memory"), *map(skipped, (512, 640, 768))],
            "Nothing was measured. Does not fit into memory: 384×384, 512×512 and 2 more.",
        ),
        ([row(384, status="failed")], "Nothing was measured."),
    ],
)
def test_advice(rows: list[Row], words: str) -> None:
    assert advise(rows) == words


def test_more_of_the_same_speed_are_counted() -> None:
    rows = [row(384, 1.0)]
    rows += [
        replace(rows[0], setting=replace(rows[0].setting, precision=f"p{n}")) for n in range(5)
    ]
    assert "as 384×384 in p0, 384×384 in p1 and 3 more." in advise(rows)


@pytest.mark.parametrize(
    ("has_bf16", "rows", "is_named"),
    [
        (True, [row(384, 1.0)], True),
        (False, [row(384, 1.0)], False),
        (True, [row(384, 1.0), row(384, 0.5, precision="bf16")], False),
        (True, [replace(row(384, 1.0), device="cuda:0")], False),
    ],
)
def test_bf16_is_named_where_the_cpu_has_it_and_it_was_not_measured(
    rows: list[Row], has_bf16: bool, is_named: bool
) -> None:
    assert ("--precision fp32,bf16" in advise(rows, has_bf16=has_bf16)) is is_named
