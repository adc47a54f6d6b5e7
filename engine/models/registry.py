"""Models by name: which there are and how each is built. Knows no weights and no files."""

import difflib
from collections.abc import Callable

from torch import nn

from engine.errors import UsageError
from engine.models.mmpm.config import CONFIGS
from engine.models.mmpm.network import MMPM


def _mmpm(name: str) -> nn.Module:
    return MMPM(CONFIGS[name])


_BUILDERS: dict[str, Callable[[str], nn.Module]] = {"mmpm": _mmpm}

MODELS: dict[str, str] = dict.fromkeys(CONFIGS, "mmpm")
"""Family of every model, by name."""


def family_of(name: str) -> str:
    """The family a model belongs to. Raises UsageError for unknown names."""
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(MODELS)}"
        raise UsageError(f"no model is called {name!r}", hint)
    return MODELS[name]


def build_model(name: str) -> nn.Module:
    """A network of this name with random weights. Raises UsageError for unknown names."""
    return _BUILDERS[family_of(name)](name)
