"""Environments of plugins' own for tests."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from tabgen.errors import PluginError
from tabgen.host import environments
from tabgen.plugins import PluginChoice, get_plugins


def built(generator: str, scratch: Path) -> environments.Installed:
    """The environment that a generator runs in, built if need be; without an index there is nothing to test."""
    generators = get_plugins(PluginChoice()).generators
    origin, environment = generators.plugin_of(generator).origin, generators[generator].info.environment
    assert origin is not None
    assert environment is not None
    environments.root().mkdir(parents=True, exist_ok=True)
    with (environments.root() / ".tests.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)  # another worker would build it anew, and this one lose it
        if not environments.is_built(origin.name, environment):
            try:
                environments.install(origin, environment)
            except PluginError as error:
                probe = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(scratch), "pluggy"]
                if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                    raise  # an index is there: it is the environment that cannot be built
                pytest.skip(f"pip reaches no index: {error}")
    state = environments.state_of(origin.name, environment)
    assert state is not None
    return state
