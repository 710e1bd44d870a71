"""What a plug-in's class says of its options, through classes within classes."""

from __future__ import annotations

from typing import Any

import attrs

from orgloop.config.declared import keys_of, secrets_in, with_paths


@attrs.frozen(kw_only=True)
class Auth:
    kind: str = "bearer"
    token: str | None = attrs.field(default=None, metadata={"secret": True, "aliases": ("key",)})
    file: str | None = attrs.field(default=None, metadata={"path": True})


@attrs.frozen(kw_only=True)
class Options:
    auth: Auth | None = None
    headers: dict[str, Any] = attrs.field(factory=dict, metadata={"secret": True})
    buffer: str = attrs.field(default="", metadata={"path": True, "yaml": "buffer_dir"})


OPTIONS = {"auth": {"key": "abc", "file": "f", "kind": "x"}, "headers": {"A": ["b", 5]}, "buffer_dir": "d", "other": 1}


def test_secrets_are_found_with_their_places() -> None:
    """By every spelling, in lists and mappings, and nothing else."""
    assert dict(secrets_in(Options, OPTIONS, ("config",))) == {
        ("config", "auth", "key"): "abc",
        ("config", "headers", "A", 0): "b",
    }


def test_paths_are_made_absolute_in_a_copy() -> None:
    """By the key of the file; what is not declared stays."""
    assert with_paths(Options, OPTIONS, lambda path: f"/p/{path}") == OPTIONS | {
        "auth": {"key": "abc", "file": "/p/f", "kind": "x"},
        "buffer_dir": "/p/d",
    }
    assert OPTIONS["buffer_dir"] == "d"


def test_keys_are_those_of_the_file() -> None:
    """With every other spelling."""
    assert keys_of(Auth) == {"kind", "token", "key", "file"}
    assert keys_of(None) == frozenset()
