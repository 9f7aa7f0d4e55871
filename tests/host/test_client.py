"""The evaluator's side of a host: what a generator's process says of itself is bounded where it enters."""

from __future__ import annotations

import math
import re
import socket
from typing import Any

import pytest

from tabgen import GeneratorInfo
from tabgen.errors import InvalidOutput
from tabgen.host.channel import send_rows
from tabgen.host.client import RemoteHost


@pytest.fixture
def told() -> Any:
    """A host's evaluator, and a function that answers it as the host's process would."""
    here, there = socket.socketpair()
    host = RemoteHost(here, GeneratorInfo("g", "a generator"))

    def tell(**reply: Any) -> RemoteHost:
        send_rows(there, reply)
        host.wait()
        return host

    yield tell
    here.close()
    there.close()


@pytest.mark.parametrize("name", ["processor", "peak_mb"])
@pytest.mark.parametrize("value", [-1e300, math.inf, -math.inf, math.nan, 1e16, None, "much"])
def test_what_no_outcome_can_hold_is_no_answer(name: str, value: Any, told: Any) -> None:
    with pytest.raises(InvalidOutput, match=re.escape("the generator's process answered what cannot be read")):
        told(**{name: value})


def test_what_it_spent_and_noted_is_taken_in(told: Any) -> None:
    spent = told(processor=1.5, peak_mb=200, notes={"seed": 2**62}).spent
    assert (spent.processor, spent.peak_mb) == (1.5, 200.0)
    assert spent.notes["notes"].startswith("not kept: a value holds an integer of 19 digits")
