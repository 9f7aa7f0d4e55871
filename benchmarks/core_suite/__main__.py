"""The command line: `python -m benchmarks.core_suite`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .build import write_suite
from .checks import check, inspect
from .docs import docs_page
from .sources import REQUIREMENTS

REPOSITORY = Path(__file__).resolve().parents[2]
CORE = REPOSITORY / "tabgen" / "datasets" / "core"
DOCS_PAGE = REPOSITORY / "docs" / "datasets.md"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Rebuild the embedded `core` suite. Without an option: write the tables and the manifest.",
        epilog=f"Needs, in an environment of its own: pip install --no-deps {REQUIREMENTS} "
        "and then their dependencies except openpyxl. --inspect and --docs need only pandas, pyarrow and scikit-learn.",
    )
    parser.add_argument("--folder", type=Path, default=CORE, help="the suite (default: tabgen/datasets/core)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="rebuild in a temporary folder and compare the content")
    action.add_argument("--inspect", action="store_true", help="print random-forest and single-column ROC-AUCs")
    action.add_argument("--docs", action="store_true", help="write docs/datasets.md from the manifest")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    if arguments.inspect:
        inspect(arguments.folder)
    elif arguments.docs:
        DOCS_PAGE.write_text(docs_page(arguments.folder), encoding="utf-8")
    elif arguments.check:
        differences = check(arguments.folder)
        print("\n".join(differences) or "the stored suite and a fresh build hold the same content")
        return 1 if differences else 0
    else:
        entries = write_suite(arguments.folder)
        size = sum(path.stat().st_size for path in arguments.folder.iterdir())
        print(f"{len(entries)} tables, {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
