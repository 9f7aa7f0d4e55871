"""Where an outcome was computed: versions, commit, hardware."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What numerical libraries read, when they are imported, to know how many threads they may use."""

CACHE_HOME = "TABGEN_CACHE"
"""Environment variable: the folder for what is fetched or built once; by default the user's cache folder."""

PACKAGES = ("torch", "numpy", "pandas", "scikit-learn")


def one_thread_unless_told() -> None:
    """Give numerical libraries one thread each, where the user has not said otherwise.

    Small tables gain nothing from more, and on a busy machine the threads' waiting for each other was
    measured to turn seconds into many minutes. Must be called before the libraries are imported.
    """
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")


def cache_home() -> Path:
    """Where tabgen keeps what it fetches or builds once: suites of OpenML, environments of plugins."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tabgen"
    return Path(os.environ.get(CACHE_HOME) or default)


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
    """Versions, commit and hardware of this process, the same for every outcome of a run."""
    commit, dirty = _commit()
    return {
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
