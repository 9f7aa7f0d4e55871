"""A deeper model that starts as what a shallower one is."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

from torch import nn

from tabgen.models.tab2d import Tab2D, _Layer


def grown(model: Tab2D, n_layers: int) -> Tab2D:
    """The model with more layers, which at first change nothing: copies of its own whose outputs are zero.

    They come behind the layers they are copies of, from the middle on (as in LEMON, Wang et al., ICLR 2024).
    """
    config = replace(model.config, n_layers=n_layers)
    out = Tab2D(config)
    out.load_state_dict(model.state_dict(), strict=False)
    depth, more = model.config.n_layers, n_layers - model.config.n_layers
    layers: list[nn.Module] = []
    copied = [depth // 2 + (number + 1) // 2 * (-1) ** number for number in range(more)]
    for number, layer in enumerate(model.layers):
        layers.append(deepcopy(layer))
        for _ in range(sum(max(0, min(depth - 1, c)) == number for c in copied)):
            new = deepcopy(layer)
            assert isinstance(new, _Layer)
            for last in (new.attention1.o, new.linear2, new.attention2.o, new.linear4):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)
            layers.append(new)
    out.layers = nn.ModuleList(layers)
    return out
