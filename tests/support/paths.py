"""Where tests find their files."""

from __future__ import annotations

import os
from pathlib import Path

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parent.parent
FIXTURE = ROOT / "tests" / "fixtures" / "mitra_tab2d"
TABARENA = ROOT.parent / "shared" / "data" / "tabarena"


def importing(*folders: Path) -> dict[str, str]:
    """The environment of an interpreter that can import what lies in these folders, and the helpers."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*map(str, folders), str(SUPPORT), os.environ.get("PYTHONPATH", "")]),
    }
