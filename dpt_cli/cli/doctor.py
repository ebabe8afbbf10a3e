"""`dpt doctor`."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dpt_cli.cli.console import put, say
from dpt_cli.cli.options import debug_option, registry_option
from dpt_cli.cli.settings import SettingsCommand

_SCHEMA = 1


@click.command(cls=SettingsCommand)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("dpt-out"),
    show_default=True,
    metavar="DIR",
    help="Output folder to try out.",
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="COCO's val2017/000000039769.jpg, for the published values.",
)
@click.option("--offline", is_flag=True, help="Never touch the network.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@registry_option
@debug_option
def doctor(
    output: Path, picture: Path | None, offline: bool, as_json: bool, registry: Path | None
) -> None:
    """Check that this installation computes what it should.

    Compares every engine, device and precision of this machine with fp32 on the CPU, for the
    bundled weights and all others on this disk; hashes these weights; compares them with the values
    that transformers publishes for three of them; and tries out the output folder. Each check
    passes, fails, or is not run, with the reason and the fix. Nothing is downloaded.

    Exits with 1 if a check fails. The report holds no secrets and no home path, so that it can go
    into a bug report as it is.

    Example: dpt doctor --json > report.json
    """
    from dpt_cli.checkpoint.fetch import hush_hub
    from dpt_cli.checkpoint.registry import load_registry

    rows = load_registry(registry).rows
    hush_hub(progress_bars=False)
    if not as_json:
        say("Loading every package and network takes a while...")
    from dpt_cli.doctor.check import without_secrets
    from dpt_cli.doctor.environment import environment
    from dpt_cli.doctor.examine import examine

    facts = without_secrets(environment())
    if not as_json:
        _put_environment(facts)
    checks = []
    for check in examine(rows, output, picture, offline=offline):
        checks.append(without_secrets(check.as_json()))
        if not as_json:
            _put_check(checks[-1])
    counts = Counter(check["status"] for check in checks)
    summary = ", ".join(f"{counts[it]} {it}" for it in ("pass", "fail", "not run"))
    if as_json:
        # ASCII: any terminal can show it.
        report = {"schema": _SCHEMA, "environment": facts, "checks": checks}
        put(json.dumps(report, indent=1, allow_nan=False), keep_lines=True)
    else:
        put(summary)
        if not counts["fail"] and counts["not run"]:
            put(
                "Nothing failed. What was not run needs something that is not here: hardware, "
                "weights, packages or a network."
            )
    if counts["fail"]:
        click.get_current_context().exit(1)


def _put_environment(facts: Mapping[str, Any]) -> None:
    put(f"dpt {facts['dpt']}, Python {facts['python']}, {facts['system']}")
    for name, version in facts["packages"].items():
        put(f"package {name}: {version}")
    for name, device in facts["devices"].items():
        put(f"device {name}: {device}")
    for name, folder in facts["caches"].items():
        state = "" if folder["is_writable"] else ", not writable"
        put(f"{name}: {folder['path']}, {folder['free_bytes'] / 1e9:.1f} GB free{state}")


def _put_check(check: Mapping[str, Any]) -> None:
    put(f"{check['status'].upper():8} {check['group']}: {check['name']}: {check['found']}")
    if check["fix"]:
        put(f"{'':8} fix: {check['fix']}")
