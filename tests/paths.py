"""Where tests find their files."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
FIXTURE = Path(__file__).parent / "fixtures" / "mitra_tab2d"
TABARENA = ROOT.parent / "shared" / "data" / "tabarena"
