"""The progress bar, which only a terminal sees."""

import sys
from pathlib import Path

import pytest
from rich.progress import Progress

from dpt_cli.cli.report import Report
from dpt_cli.errors import InputError
from dpt_cli.pipeline.events import Failed
from dpt_cli.pipeline.plan import Job
from front_door import FrontDoor


@pytest.mark.parametrize(
    ("total", "quiet", "is_terminal", "num_bars"),
    [(3, False, True, 1), (3, False, False, 0), (3, True, True, 0), (1, False, True, 0)],
)
def test_a_bar_is_drawn_where_it_helps(
    monkeypatch: pytest.MonkeyPatch, total: int, quiet: bool, is_terminal: bool, num_bars: int
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    with Report(total, quiet, verbose=False, as_json=False) as report:
        report.begin()
        assert (report._progress is not None) == bool(num_bars)


def test_the_bar_counts_what_failed_before_it_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Report(3, quiet=False, verbose=False, as_json=False) as report:
        report.failed(Failed(Job(Path("bad.png"), {}), InputError("not an image")))
        report.begin()
        assert report._progress is not None
        assert report._progress.tasks[0].completed == 1


def test_no_bar_is_drawn_for_a_network_that_loads_after_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Report(3, quiet=False, verbose=False, as_json=False) as report:
        pass
    report.begin()
    assert report._progress is None


def test_a_photograph_that_fails_while_the_bar_is_drawn_is_counted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    failed = Failed(Job(Path("bad.png"), {}), InputError("not an image"))
    with Report(3, quiet=False, verbose=False, as_json=False) as report:
        start = Progress.start

        def start_late(progress: Progress) -> None:
            report.failed(failed)
            start(progress)

        monkeypatch.setattr(Progress, "start", start_late)
        report.begin()
        report.failed(failed)
        assert report._progress is not None
        assert report._progress.tasks[0].completed == 2


@pytest.mark.parametrize(
    ("reason", "grouped"),
    [
        ("a.png: not an image", "not an image"),
        ("cannot read a.png: no permission", "cannot read the file: no permission"),
        ("its output out/a.png was changed", "its output out/a.png was changed"),
        ("expected a.png.txt", "expected a.png.txt"),
    ],
)
def test_equal_reasons_are_grouped_without_the_path(
    capsys: pytest.CaptureFixture[str], reason: str, grouped: str
) -> None:
    report = Report(2, quiet=False, verbose=False, as_json=False)
    report.failed(Failed(Job(Path("a.png"), {}), InputError(reason)))
    report.summary(Path("out"), ())
    assert capsys.readouterr().err.splitlines()[-1] == f"  1 file: {grouped}"


def test_an_output_named_as_its_photograph_is_refused(dpt: FrontDoor) -> None:
    dpt.photograph("a.png")
    result = dpt("depth", "a.png", "-o", ".", "--for", "3dgs", code=3)
    assert "Failed: a.png: its output would overwrite the " in result.stderr
