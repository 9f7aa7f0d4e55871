"""The markers of the plugin contract: which functions are hooks, and which implement one."""

from __future__ import annotations

import pluggy

PROJECT = "tabgen"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
