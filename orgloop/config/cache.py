"""
What the YAML files of a project held, kept from one load to the next, so that an unchanged one is not parsed again.

Law: a cache saves time and decides nothing. An entry is found by the hash of the bytes that it was parsed from; the
data is as it was written, before any variable was filled in; only files without flaws are kept. A cache of another
version of the parser, one that is damaged, is too large, or belongs to somebody else, is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs
import msgspec

from orgloop.config._files import read_bytes
from orgloop.config._refused import Refused
from orgloop.config.document import Document

MAX_CACHE_BYTES = 64 * 1024 * 1024

_DIGEST_BYTES = 32


@attrs.define(eq=False)
class Cache:
    """The parsed data of files, by the hash of their bytes. Without a file, nothing is kept."""

    file: Path | None = None
    _found: dict[bytes, Any] = attrs.field(factory=dict)
    _used: dict[bytes, Any] = attrs.field(factory=dict)

    def document(self, content: bytes, path: Path) -> Document | None:
        """What was parsed from the same bytes; None if nothing is known of them."""
        key = _key(content) if self._found else b""
        if key not in self._found:
            return None
        self._used[key] = self._found[key]
        return Document(path, content.decode("utf-8-sig"), self._found[key], [])

    def keep(self, content: bytes, document: Document) -> None:
        """Remember what was parsed, if it is without flaws."""
        if self.file is not None and not document.flaws:
            self._used[_key(content)] = document.data

    def write(self) -> None:
        """Put what this load used on disk, if that is not what is there; a disk that refuses changes nothing."""
        if self.file is None or self._used.keys() == self._found.keys():
            return
        payload = msgspec.msgpack.encode(self._used)
        if len(payload) + _DIGEST_BYTES > MAX_CACHE_BYTES:
            return
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # mkstemp makes it 0600: a configuration may hold what is nobody else's business.
            descriptor, temporary = tempfile.mkstemp(dir=self.file.parent, prefix=".parsed-")
            try:
                with open(descriptor, "wb") as file:
                    file.write(_seal(payload) + payload)
                os.replace(temporary, self.file)
            except OSError:
                os.unlink(temporary)


NO_CACHE = Cache()


def open_cache(folder: Path | None, project: Path) -> Cache:
    """The cache of a project, in a folder of caches; an empty one if there is none, or none that can be trusted."""
    if folder is None:
        return NO_CACHE
    name = hashlib.blake2b(str(project).encode(), digest_size=12).hexdigest()
    file = folder / f"parsed-{name}.msgpack"
    return Cache(file, _entries(file))


def _entries(file: Path) -> dict[bytes, Any]:
    try:
        if file.stat().st_uid != os.geteuid():
            return {}
        content = read_bytes(file, limit_bytes=MAX_CACHE_BYTES)
        seal, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        return msgspec.msgpack.decode(payload, type=dict[bytes, Any]) if seal == _seal(payload) else {}
    except (OSError, Refused, msgspec.DecodeError, RecursionError):
        return {}


def _seal(payload: bytes) -> bytes:
    """Another version of the parser, or a single damaged bit, gives another one."""
    return hashlib.blake2b(payload, key=_version(), digest_size=_DIGEST_BYTES).digest()


@lru_cache(maxsize=1)
def _version() -> bytes:
    from orgloop.config import _compose, _flaws, _scalars

    sources = (Path(str(module.__file__)).read_bytes() for module in (_compose, _flaws, _scalars))
    return hashlib.blake2b(b"\0".join(sources), digest_size=32).digest()


def _key(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=24).digest()
