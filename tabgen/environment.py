"""Where and when an outcome was computed: day, versions, commit, hardware."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "pandas", "scikit-learn")


@cache
def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that every cell computes with."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}


def numerical_settings() -> dict[str, Any]:
    """What a process has set that decides how PyTorch computes: an import of a library can change any of it."""
    import torch

    return {
        "default dtype": str(torch.get_default_dtype()),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "matrix products": torch.get_float32_matmul_precision(),
        "oneDNN": bool(torch.backends.mkldnn.enabled),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "denormal numbers": bool((torch.tensor(5e-324, dtype=torch.float64) * 1.0).item() != 0.0),
    }


def own_version() -> str:
    """The version of tabgen; empty in an environment where its code is, and its distribution is not."""
    try:
        return metadata.version("tabgen-bench")
    except metadata.PackageNotFoundError:
        return ""


def peak_memory_mb() -> float:
    """The most memory that this process has had resident, in megabytes."""
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)


@cache
def provenance() -> dict[str, Any]:
    """Day (UTC), versions, commit and hardware of this process, the same for every outcome of a run."""
    commit, dirty = _commit()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "tabgen": own_version(),
        **package_versions(),
        "commit": commit,
        "dirty": dirty,
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _commit() -> tuple[str | None, bool | None]:
    """Commit of tabgen's own checkout and whether files differ from it; None, None for an installed wheel."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None, None
    try:

        def git(*words: str) -> str:
            return subprocess.run(
                ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
            ).stdout.strip()

        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
