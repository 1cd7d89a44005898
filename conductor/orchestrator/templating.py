"""Prompts from template files, which a project may override: Jinja2 in its sandbox, every unknown name an error."""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from conductor.domain.errors import SettingsInvalid

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

OURS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "prompts")


def template_folders(home: str, project: str = "") -> tuple[str, ...]:
    """Where overrides are looked for, the project's own first. `home` is conductor's."""
    everybody = f"{home}/templates/orchestrator"
    return (f"{home}/projects/{project}/templates", everybody) if project else (everybody,)


class PromptTemplates:
    """`plan.md.j2` and the others, from the first of the folders that has it, else ours."""

    def __init__(self, folders: Sequence[str] = ()) -> None:
        self._folders = (*folders, OURS)

    def render(self, name: str, must_hold: str, **values: Any) -> str:
        """The filled template. `must_hold` is what no prompt of that name may leave out, fenced.

        Raises SettingsInvalid that names the file and, where there is one, the line."""
        from jinja2 import TemplateError, TemplateSyntaxError

        path = self._path(name)
        try:
            text = self._environment.get_template(name).render(values)
        except TemplateSyntaxError as error:
            raise _broken(error.filename or path, error.lineno, str(error.message)) from None
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, OSError) as error:
            raise _broken(path, _line_in(error, path), f"{error}") from None
        if must_hold not in text:
            raise _broken(path, None, f"it leaves out what it is for: {_first_line(must_hold)}")
        return text.strip("\n") + "\n"

    def _path(self, name: str) -> str:
        return next((path for one in self._folders if os.path.lexists(path := f"{one}/{name}")), f"{OURS}/{name}")

    @cached_property
    def _environment(self) -> SandboxedEnvironment:
        from jinja2 import FileSystemLoader, StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        return ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(self._folders),
            undefined=StrictUndefined,
            autoescape=False,  # a prompt is no HTML; what comes from outside arrives fenced
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )


def _line_in(error: BaseException, path: str) -> int | None:
    """Jinja2 writes template lines into the traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return frames[-1].lineno if frames else None


def _first_line(text: str) -> str:
    return text.partition("\n")[0][:60]


def _broken(path: str, line: int | None, why: str) -> SettingsInvalid:
    place = f"{path}, line {line}" if line else path
    return SettingsInvalid(f"the template {place}: {' '.join(why.split())[:300]}; correct it, or remove it to use ours")
