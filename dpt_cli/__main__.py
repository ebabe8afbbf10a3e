"""`python -m dpt_cli` is `dpt`."""

from dpt_cli.cli import main

main()
