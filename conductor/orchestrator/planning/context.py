"""What a planner and a worker are told of a repository: languages, layout, conventions, how it is checked.

Everything here was written by others. It is bounded, links out of the repository are not followed, and no odd file
makes it fail.
"""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conductor.domain.quoting import head_of
from conductor.kit.durable import read_bytes
from conductor.orchestrator.planning.listing import listed_files

CONVENTIONS = ("AGENTS.md", "CLAUDE.md", "GEMINI.md", "CONTRIBUTING.md")
READMES = ("README.md", "README.rst", "README.txt", "README", "readme.md")
MOST_CHARACTERS = 24_000
_MOST_LANGUAGES = 12
_DEEPEST = 3
_LANGUAGES = {
    "Python": "py pyi",
    "JavaScript": "js mjs cjs jsx",
    "TypeScript": "ts tsx mts",
    "Go": "go",
    "Rust": "rs",
    "Java": "java",
    "Kotlin": "kt kts",
    "C": "c h",
    "C++": "cc cpp cxx hpp hh",
    "C#": "cs",
    "Ruby": "rb",
    "PHP": "php",
    "Swift": "swift",
    "Shell": "sh bash zsh",
    "SQL": "sql",
    "HTML": "html htm",
    "CSS": "css scss sass less",
    "Vue": "vue",
    "Svelte": "svelte",
    "Elixir": "ex exs",
    "Scala": "scala",
    "Haskell": "hs",
    "Lua": "lua",
    "R": "r",
    "Dart": "dart",
    "Markdown": "md",
    "YAML": "yaml yml",
    "JSON": "json",
    "TOML": "toml",
}
_LANGUAGE_OF = {ending: language for language, endings in _LANGUAGES.items() for ending in endings.split()}


@dataclass(frozen=True, slots=True)
class RepositoryContext:
    files: int = 0
    """As git lists them; a bounded number where there are very many."""
    languages: tuple[tuple[str, int], ...] = ()
    """Name and files, the most first."""
    layout: str = ""
    """A tree, a line each."""
    conventions: tuple[tuple[str, str], ...] = ()
    """Name and beginning of the files that say how to work here."""
    readme: str = ""
    check: str = ""
    """The command that must pass before a merge."""

    def told(self, *, with_conventions: bool = True) -> str:
        """As text, to be fenced by whoever puts it into a prompt. A worker's prompt has the conventions anyway."""
        if not self.files:
            return f"The repository is empty.{_check_line(self.check)}"
        counted = ", ".join(f"{name} {count}" for name, count in self.languages) or "none that is known"
        parts = [
            f"{self.files} files. Languages by files: {counted}.{_check_line(self.check)}",
            f"Layout:\n{self.layout}",
            *(f"{name} begins:\n{text}" for name, text in self.conventions if with_conventions),
        ]
        return "\n\n".join([*parts, f"The readme begins:\n{self.readme}"] if self.readme else parts)


def _check_line(check: str) -> str:
    return f"\nBefore each merge this must pass: {_visible(check)}" if check else ""


def repository_context(folder: str, *, check: str = "", most_chars: int = MOST_CHARACTERS) -> RepositoryContext:
    """Of the repository, or the plain folder, at `folder`; an empty one where there is none."""
    paths = listed_files(folder)
    share = max(most_chars // 4, 200)
    conventions = _conventions(folder, share)
    return RepositoryContext(
        files=len(paths),
        languages=_languages(paths),
        layout=layout_of(paths, share),
        conventions=conventions,
        readme=next((text for name in READMES if (text := _head(folder, name, share))), ""),
        check=check,
    )


def _languages(paths: Sequence[str]) -> tuple[tuple[str, int], ...]:
    endings = (posixpath.splitext(path)[1][1:].lower() for path in paths)
    counted = Counter(_LANGUAGE_OF[ending] for ending in endings if ending in _LANGUAGE_OF)
    return tuple(sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:_MOST_LANGUAGES])


def _conventions(folder: str, most: int) -> tuple[tuple[str, str], ...]:
    """Those that there are; the same text under another name is told once."""
    found: dict[str, str] = {}
    for name in CONVENTIONS:
        text = _head(folder, name, most * 2 // (len(found) + 2))
        if text and text not in found.values():
            found[name] = text
    return tuple(found.items())


def _head(folder: str, name: str, most: int) -> str:
    """The beginning of a text file of the folder, wherever inside of it a link leads; empty where there is none."""
    try:
        root = os.path.realpath(folder)
        path = os.path.realpath(f"{root}/{name}")
        if not path.startswith(f"{root.rstrip('/')}/"):
            return ""
        text = read_bytes(path, most * 4).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
    return head_of(text.replace("\0", "\ufffd").strip(), most)


def layout_of(paths: Sequence[str], most_chars: int) -> str:
    """The deepest tree of `paths` that fits: files where they fit, else folders with how many files are below."""
    for depth in range(_DEEPEST, 0, -1):
        text = _tree(paths, depth)
        if len(text) <= most_chars:
            return text
    return head_of(text, most_chars)


def _tree(paths: Sequence[str], depth: int) -> str:
    return "\n".join(
        _lines(sorted({_cut(path, depth) for path in paths}), Counter(_cut(path, depth) for path in paths))
    )


def _cut(path: str, depth: int) -> str:
    """The path, or where it lies deeper its folder at that depth, with a slash."""
    parts = path.split("/")
    return path if len(parts) <= depth else "/".join(parts[:depth]) + "/"


def _lines(entries: Sequence[str], counted: Counter[str]) -> Iterator[str]:
    for entry in entries:
        below = f" ({counted[entry]} files)" if entry.endswith("/") else ""
        yield f"{_visible(entry)}{below}"


def _visible(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
