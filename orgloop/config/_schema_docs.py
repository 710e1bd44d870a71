"""The docstrings of fields, read from the source of their class, because Python does not keep them."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import sys
from collections.abc import Iterator, Mapping


def field_docs(cls: type) -> Mapping[str, str]:
    """
    What stands below each field of a class or of its ancestors, by the field's name.

    Where there is no source (a frozen program, a class made at run time) nothing is known, and nothing is wrong.
    """
    docs: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        docs |= _docs_in(ancestor.__module__).get(ancestor.__qualname__, {})
    return docs


def plain_text(doc: str) -> str:
    """A docstring as an editor shows it: in one paragraph, without the marks of reStructuredText."""
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", " ".join(doc.split()))
    return text.replace("``", "`")


@functools.lru_cache(maxsize=256)
def _docs_in(module: str) -> Mapping[str, Mapping[str, str]]:
    try:
        # By the loader, so that a package inside of an archive has a source too.
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError, SyntaxError):
        return {}
    return dict(_classes(tree, ""))


def _classes(tree: ast.AST, prefix: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            name = f"{prefix}{node.name}"
            yield name, dict(_fields(node))
            yield from _classes(node, f"{name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(node, f"{prefix}{node.name}.<locals>.")


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, below.value.value
