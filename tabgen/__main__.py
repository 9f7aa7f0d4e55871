"""``python -m tabgen``: the command line."""

from tabgen.cli import main

main()
