"""
What may happen to an event on its way along a route: one module each, and the table of their names.

    script  agent_gate      run a command        _command
    filter                  patterns, or jq      _patterns, _jq (and its program, _jq_worker)
    dedup   enrich          plain functions
    _rewrite                what came back from outside     _fields   dot paths
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from orgloop.sdk import Transform
from orgloop.transforms.agent_gate import AgentGate, AgentGateConfig
from orgloop.transforms.dedup import Dedup, DedupConfig
from orgloop.transforms.enrich import Enrich, EnrichConfig
from orgloop.transforms.filter import Filter, FilterConfig
from orgloop.transforms.script import Script, ScriptConfig

__all__ = [
    "BUILT_IN",
    "AgentGate",
    "AgentGateConfig",
    "BuiltIn",
    "Dedup",
    "DedupConfig",
    "Enrich",
    "EnrichConfig",
    "Filter",
    "FilterConfig",
    "Script",
    "ScriptConfig",
]


@attrs.frozen
class BuiltIn:
    """A transform of ours: the class, and the class of the one argument that it takes."""

    transform: type[Transform]
    config: type[attrs.AttrsInstance]

    def make(self, config: Any) -> Transform:
        """The transform; ValueError, a line for each fault, if it cannot be as configured."""
        return self.transform(config)  # type: ignore[call-arg]


_PACKAGES = {
    "agent-gate": BuiltIn(AgentGate, AgentGateConfig),
    "dedup": BuiltIn(Dedup, DedupConfig),
    "enrich": BuiltIn(Enrich, EnrichConfig),
    "filter": BuiltIn(Filter, FilterConfig),
}

BUILT_IN: Mapping[str, BuiltIn] = MappingProxyType(
    {
        "script": BuiltIn(Script, ScriptConfig),
        **_PACKAGES,
        **{f"@orgloop/transform-{name}": built_in for name, built_in in _PACKAGES.items()},
    }
)
"""By short name, and by the name of the original's package."""
