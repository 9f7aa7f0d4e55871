"""Environment variables: every one that tabgen reads or sets, under its one name and with its one meaning."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_HOME = "TABGEN_CACHE"
CACHE_HOME_OF_ALL = "XDG_CACHE_HOME"
GPUS = "CUDA_VISIBLE_DEVICES"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "8388608", "MALLOC_TRIM_THRESHOLD_": "1073741824"}
"""A cell keeps the memory that it frees, to use it again (glibc; nothing elsewhere).

By default every large tensor is new pages of the system's, 20,000 a prediction: a tenth of its time.
"""
CONFORMANCE_MARK = "TABGEN_CONFORMANCE_CHECK"

MEANINGS = {
    CACHE_HOME: "The folder for what is fetched or built once: suites of OpenML, drawn suites, plugins' environments.",
    CACHE_HOME_OF_ALL: "Where TABGEN_CACHE is not set, that folder is `tabgen` in this one; by default `~/.cache`.",
    GPUS: "The GPUs that a run may use; a cell sees the one it was given.",
    **dict.fromkeys(
        THREAD_VARIABLES,
        "Threads of numerical libraries. Where it is not set, the command line gives them one; a cell gets its own.",
    ),
    **dict.fromkeys(KEEP_MEMORY, "Set for cells: memory that they free is kept and used again. Yours goes before."),
    CONFORMANCE_MARK: "Set by the conformance kit, to find the processes that a generator starts. Not for you to set.",
    "PYTHONHASHSEED": "Set by the conformance kit for its fresh process: rows may not depend on the hashes of texts.",
    "PYTHONPATH": "Not passed on to a generator in an environment of its own, which finds tabgen and its plugin only.",
    "PYTHONNOUSERSITE": "Set for a generator in an environment of its own: nothing but that environment is imported.",
    "VIRTUAL_ENV": "Not passed on to a generator in an environment of its own.",
}
"""What each is for; docs/api.md says the same."""


def one_thread_unless_told() -> None:
    """Give numerical libraries one thread each, where the user has not said otherwise.

    Small tables gain nothing from more, and on a busy machine the threads' waiting for each other was
    measured to turn seconds into many minutes. Must be called before the libraries are imported.
    """
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")


def cache_home() -> Path:
    """Where tabgen keeps what it fetches or builds once: suites of OpenML, environments of plugins."""
    default = Path(os.environ.get(CACHE_HOME_OF_ALL) or Path.home() / ".cache") / "tabgen"
    return Path(os.environ.get(CACHE_HOME) or default)
