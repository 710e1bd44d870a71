"""
Nothing secret leaves: every answer, notice and metric goes through here on its way out.

A value of a variable that is also the name of a module, a source, an actor or a route is spared where it stands alone:
it is no secret any more, and whoever asks needs the name to ask on. The same goes for the folder of a module. Inside of
a longer text it is masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import attrs
import msgspec

from orgloop.config.masking import Masker
from orgloop.errors import ModuleError
from orgloop.http.app import originals, shapes
from orgloop.runtime.runtime import Runtime

LONGEST_NAME = 300
"""Characters that two names and what is between them can have."""

MOST_SECRETS = 10_000
"""How many are known at most; beyond, those of modules that are long gone are forgotten first."""


def _own_keys() -> frozenset[str]:
    return frozenset(
        field.encode_name
        for module in (shapes, originals)
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, msgspec.Struct)
        for field in msgspec.structs.fields(cls)
    )


OWN_KEYS = _own_keys()
"""Keys of our own answers: they are the same for everybody."""


@attrs.define(eq=False)
class Masks:
    """Knows the secrets of every project that is, or was, loaded or looked at here."""

    _runtime: Runtime
    _known: dict[str, None] = attrs.field(factory=dict)
    """The newest last."""
    _names: frozenset[str] = frozenset()
    _masker: Masker = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin with what is known: nothing."""
        self._masker = Masker(self._known)

    def learn(self, secrets: Iterable[str]) -> None:
        """From now on these are masked too."""
        new = [secret for secret in secrets if secret not in self._known]
        if new:
            self._known.update(dict.fromkeys(new))
            for oldest in list(self._known)[: max(0, len(self._known) - MOST_SECRETS)]:
                del self._known[oldest]
            self._masker = Masker(self._known)

    def learn_loaded(self) -> None:
        """Look at what is loaded now."""
        names: set[str] = set()
        for module in self._runtime.modules():
            names |= {module.name, module.directory, *module.sources, *module.actors, *module.routes}
            try:
                project = self._runtime.project_of(module.name)
            except ModuleError:
                continue  # unloaded in this very moment
            if project is not None:
                self.learn(project.secrets)
        self._names = frozenset(names)

    def text(self, text: str) -> str:
        """A text without secrets."""
        return text if self._is_name(text) else self._masker.text(text)

    def _is_name(self, text: str) -> bool:
        """Whether it is a name, or made of names as ``module/route`` and ``module:source`` are."""
        return text in self._names or (len(text) < LONGEST_NAME and self._names.issuperset(re.split("[/:]", text)))

    def plain(self, value: Any) -> Any:
        """Plain data without secrets; keys are texts too, unless they are ours."""
        if value.__class__ is str:
            return self.text(value)
        if value.__class__ is dict:
            return {key if key in OWN_KEYS else self.text(key): self.plain(member) for key, member in value.items()}
        if value.__class__ is list or value.__class__ is tuple:
            return [self.plain(member) for member in value]
        return value
