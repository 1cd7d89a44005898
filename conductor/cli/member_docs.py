"""What the code itself says of each member of an enum: the text below it, read from the source."""

from __future__ import annotations

import ast
import inspect
import textwrap
from enum import Enum
from itertools import pairwise


def docs_of(table: type[Enum]) -> dict[Enum, str]:
    """By member, in one line each; one that nothing is said of is left out, and all are where the source is absent."""
    try:
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(table))).body
    except (OSError, SyntaxError, ValueError):
        return {}
    assert isinstance(body, ast.ClassDef)  # getsource() of a class
    return {
        table[name]: " ".join(text.split())
        for first, second in pairwise(body.body)
        if (name := _assigned(first)) and (text := _text(second))
    }


def _assigned(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return ""


def _text(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return str(statement.value.value)
    return ""
