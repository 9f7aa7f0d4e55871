"""The prior of the `tabicl` package (BSD-3) as priors of ours: its MLP, tree and graph causal models.

tabicl's generators draw from three global random states, run xgboost on all cores, and the graph's draws
depend on the hash seed of the process. Here a table is a pure function of the generator it is drawn with, and
nothing global is left changed. What is set, and why (measured in 2026-11, tabicl 2.2):

- ``is_causal``: features and label are both taken from inside the network. By default the features are its
  roots, and a random forest gets a ROC-AUC of 0.54 on most tables. (Its trees know no causal mode.)
- ``filter_unpredictable_datasets``: tables on which extra-trees do not beat the class shares are redrawn.
- One table serves all tasks of a call: each takes its own rows and columns of a larger one.

Source: Qu, Holzmüller, Varoquaux, Le Morvan, *TabICL* (ICML 2025), and the package's ``tabicl.prior``.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tabgen.errors import TabgenError
from tabgen.pretrain.draws import Drawn

FAMILIES = {"tabicl-mlp": "mlp_scm", "tabicl-tree": "tree_scm", "tabicl-graph": "graph_scm"}
"""Our name -> tabicl's."""

SPARE_ROWS = 1.5
SPARE_COLUMNS = {"tabicl-mlp": 1.34, "tabicl-tree": 1.0, "tabicl-graph": 1.34}
"""A table's size as a multiple of its tasks': enough for subsets that differ. The columns of a tree's table
are independent causes of the label: a subset of them would leave little to learn."""
MAX_LEVELS = 64
"""Columns of more distinct values are numbers."""
ATTEMPTS = 20


def sample_tabicl(family: str, b: int, n: int, f: int, k: int, generator: torch.Generator) -> Drawn:
    """Draw b tasks of n rows, f features and up to k classes from one table of a family.

    Parameters
    ----------
    family : str
        A key of ``FAMILIES``.

    Raises
    ------
    TabgenError
        If tabicl is not installed, or yields no usable table.
    """
    rows, columns = round(n * SPARE_ROWS), round(f * SPARE_COLUMNS[family])
    for _ in range(ATTEMPTS):
        seed = int(torch.randint(2**31, (1,), generator=generator))
        with _reproducible(seed):
            x, y, used = _table(family, rows, columns, k)
        if used >= f and y.min() >= 0 and y.max() < k and bool(torch.isfinite(x).all()):
            break
    else:
        raise TabgenError(f"prior '{family}' yielded no usable table of {rows} x {columns} in {ATTEMPTS} attempts.")
    x, discrete = _as_codes(x[:, :used])
    tasks = []
    for _ in range(b):
        row = torch.randperm(rows, generator=generator)[:n]
        column = torch.randperm(used, generator=generator)[:f]
        tasks.append((x[row][:, column], y[row], discrete[column]))
    x, y, discrete = (torch.stack(part) for part in zip(*tasks, strict=True))
    return Drawn(x, y, discrete, F.one_hot(y, k).float())


def _table(family: str, rows: int, columns: int, k: int) -> tuple[Tensor, Tensor, int]:
    """One table: x (rows, columns), y (rows,) int64, and how many of the columns, from the left, are used."""
    from tabicl.prior import PriorDataset
    from tabicl.prior._prior_config import DEFAULT_FIXED_HP
    from tabicl.prior.graph_lib._config import PriorConfig

    prior = PriorDataset(
        prior_type=FAMILIES[family],
        max_features=columns,
        max_classes=k,
        max_seq_len=rows,
        scm_fixed_hp=DEFAULT_FIXED_HP | {"is_causal": True},
        config=PriorConfig(filter_unpredictable_datasets=True),
        n_jobs=1,
    ).prior
    settings = {} if family == "tabicl-graph" else _settings(prior)
    # as its get_batch(), which would draw the number of classes too
    x, y, used = prior.generate_dataset(
        {
            "regression": False,
            "device": "cpu",
            "config": prior.config,
            **settings,
            "prior_type": FAMILIES[family],
            "seq_len": rows,
            "train_size": rows // 2,
            "num_features": columns,
            "max_features": columns,
            "num_classes": k,
        }
    )
    return x, y.long(), int(used)


def _settings(prior: Any) -> dict[str, Any]:
    drawn = {name: value() if callable(value) else value for name, value in prior.hp_sampling().items()}
    return {**prior.fixed_hp, **drawn}


def _as_codes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Columns of few distinct values as codes 0, 1, ... in the order of the values, and which these are."""
    x, discrete = x.clone(), torch.zeros(x.shape[1], dtype=torch.bool)
    for column in range(x.shape[1]):
        values, inverse = torch.unique(x[:, column], return_inverse=True)
        if len(values) <= min(MAX_LEVELS, x.shape[0] // 4):
            x[:, column], discrete[column] = inverse.float(), True
    return x, discrete


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Seed the three global states, one thread, a fixed order of sets; put everything back afterwards."""
    try:
        import joblib
        import threadpoolctl  # type: ignore[import-untyped]
        from tabicl.prior import _tree_scm
        from tabicl.prior.graph_lib import _dataset as graph_dataset
    except ImportError as error:
        raise TabgenError(
            f"the tabicl priors need the packages tabicl and xgboost-cpu ({error}):"
            " pip install 'tabgen-bench[pretrain]', or train on --priors mechanisms=1."
        ) from error
    regressor = _tree_scm.XGBRegressor
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - tabicl draws from it
    with ExitStack() as stack:
        stack.callback(random.setstate, python)
        stack.callback(np.random.set_state, numpy)
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(threadpoolctl.threadpool_limits(1))
        stack.enter_context(joblib.parallel_config(backend="sequential"))
        stack.enter_context(_replaced(_tree_scm, "XGBRegressor", lambda **given: regressor(**given | {"n_jobs": 1})))
        # RandomDataset iterates over a set of strings, whose order is that of their per-process hashes
        stack.enter_context(_replaced(graph_dataset, "set", lambda values: sorted(dict.fromkeys(values))))
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        yield


@contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Set a module's global for a while; a name it does not have shadows the built-in."""
    before = vars(module).get(name)
    setattr(module, name, value)
    try:
        yield
    finally:
        if before is None:
            delattr(module, name)
        else:
            setattr(module, name, before)
