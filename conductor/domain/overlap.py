"""Which files a step may touch: globs, relative to the project, `/` between folders.

    `src/app.py`     that file; should it be a folder, everything below it
    `src/`, `src/*`  everything below the folder `src`
    `src/*.py`       elsewhere `*` and `?` stay within one name; `[abc]` is one of these characters, or stands for
                     itself, as in the folder `[id]` of a web application
    `src/**/test_*`  `**` is any number of folders, none too
    `src/{a,b}.py`   either

Two steps that wait for each other cost time, two that write the same file cost work: so where two globs are hard to
tell apart, they overlap. No glob is slow: nothing goes back further than to the last star.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import takewhile

MOST_ALTERNATIVES = 64
"""Of one glob with braces; one with more stands for everything below its last folder without any."""

Segments = tuple[str, ...]
"""A glob cut at the slashes, without braces; `**` only as a whole segment."""

_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_TOKEN = re.compile(r"\[!?\]?[^\]]*\]|.", re.DOTALL)
_WILD = re.compile(r"[*?\[]")


def matches(path: str, globs: Iterable[str]) -> bool:
    """Whether `path` is one of the files that `globs` declare; none declares nothing."""
    names = _split(path)
    return any(_goes_through(pattern, names, "**", _name_matches) for glob in globs for pattern in patterns_of(glob))


def overlaps(some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether there could be a path that both sets of globs match. An empty set overlaps nothing."""
    theirs = [pattern for glob in others for pattern in patterns_of(glob)]
    return any(_patterns_overlap(mine, other) for glob in some for mine in patterns_of(glob) for other in theirs)


class FilesInUse:
    """The globs that steps in progress have declared. An owner is such a step, told by any unique name.

    A question costs as much as its path is deep and as there are globs at or around its place, however many are held.
    """

    def __init__(self) -> None:
        self._held: dict[str, tuple[Segments, ...]] = {}
        self._at: dict[Segments, dict[tuple[str, Segments], None]] = {}
        """By the folder where a pattern's wildcards begin."""
        self._within: dict[Segments, dict[tuple[str, Segments], None]] = {}
        """The same for that folder and each one above it."""

    def hold(self, owner: str, globs: Iterable[str]) -> None:
        """In place of what the owner held before."""
        self.release(owner)
        patterns = tuple(dict.fromkeys(pattern for glob in globs for pattern in patterns_of(glob)))
        if not patterns:
            return
        self._held[owner] = patterns
        for index, key, pattern in self._places(patterns):
            index.setdefault(key, {})[owner, pattern] = None

    def release(self, owner: str) -> None:
        """One that holds nothing may be released too."""
        for index, key, pattern in self._places(self._held.pop(owner, ())):
            del index[key][owner, pattern]
            if not index[key]:
                del index[key]

    def blocker(self, globs: Iterable[str]) -> str:
        """An owner of something that `globs` overlap; empty: nobody.

        Whoever is refused need not ask again before that owner is released.
        """
        for mine in (pattern for glob in globs for pattern in patterns_of(glob)):
            for owner, pattern in self._near(_certain(mine)):
                if _patterns_overlap(mine, pattern):
                    return owner
        return ""

    def __len__(self) -> int:
        return len(self._held)

    def _places(
        self, patterns: Iterable[Segments]
    ) -> Iterator[tuple[dict[Segments, dict[tuple[str, Segments], None]], Segments, Segments]]:
        for pattern in patterns:
            certain = _certain(pattern)
            yield self._at, certain, pattern
            for depth in range(len(certain) + 1):
                yield self._within, certain[:depth], pattern

    def _near(self, certain: Segments) -> Iterator[tuple[str, Segments]]:
        """Those whose certain part begins with this one, or this one with theirs: no other can overlap."""
        yield from self._within.get(certain, ())
        for depth in range(len(certain)):
            yield from self._at.get(certain[:depth], ())


@lru_cache(maxsize=8192)
def patterns_of(glob: str) -> tuple[Segments, ...]:
    """What the glob stands for, without braces and with `**` alone between its slashes."""
    plain = _without_braces(glob)
    if plain is not None:
        found = [pattern for one in plain for pattern in _alternatives(_split(one))]
        if len(found) <= MOST_ALTERNATIVES:
            return tuple(dict.fromkeys(map(_with_what_is_below, found)))
    certain = takewhile(lambda name: "{" not in name and "*" not in name, _split(glob))
    return ((*certain, "**"),)


def _without_braces(glob: str) -> list[str] | None:
    """None: too many to be listed."""
    done, to_do = [], [glob]
    while to_do:
        one = to_do.pop()
        braces = _BRACES.search(one)
        if not braces:
            done.append(one)
        else:
            choices = braces[1].split(",")
            if len(done) + len(to_do) + len(choices) > MOST_ALTERNATIVES:
                return None
            to_do.extend(one[: braces.start()] + choice + one[braces.end() :] for choice in choices)
    return done


def _alternatives(pattern: Segments) -> list[Segments]:
    """`a**b` may be meant within one name or across folders: both."""
    found: list[Segments] = [()]
    for segment in pattern:
        meanings: list[Segments] = [(segment,)]
        if "**" in segment and segment != "**":
            before, _, after = segment.partition("**")
            after = re.sub(r"\*+", "*", after)
            across = (*((f"{before}*",) if before else ()), "**", *((f"*{after}",) if after else ()))
            meanings = [(f"{before}*{after}",), across]
        if len(found) * len(meanings) > MOST_ALTERNATIVES:
            return found * (MOST_ALTERNATIVES + 1)
        found = [(*begun, *meaning) for begun in found for meaning in meanings]
    return found


def _with_what_is_below(pattern: Segments) -> Segments:
    """The last name may be that of a folder, and `folder/*` is what people write for all of it."""
    if pattern and pattern[-1] == "*":
        return (*pattern[:-1], "**")
    if pattern and "*" not in pattern[-1] and "?" not in pattern[-1]:
        return (*pattern, "**")
    return pattern or ("**",)


def _split(path: str) -> Segments:
    return tuple(name for name in path.split("/") if name not in ("", "."))


def _certain(pattern: Segments) -> Segments:
    """Its folders before the first wildcard."""
    return tuple(takewhile(lambda segment: not _WILD.search(segment), pattern))


def _patterns_overlap(one: Segments, other: Segments) -> bool:
    return _can_both(one, other, "**", _names_overlap)


def _name_matches(segment: str, name: str) -> bool:
    if segment == name:
        return True
    return bool(_WILD.search(segment)) and _goes_through(_tokens(segment), tuple(name), "*", _is_one)


def _names_overlap(one: str, other: str) -> bool:
    if one == other:
        return True
    if not _WILD.search(other):
        return _name_matches(one, other)
    if not _WILD.search(one):
        return _name_matches(other, one)
    return _can_both(_tokens_in_doubt(one), _tokens_in_doubt(other), "*", _could_be_one)


@lru_cache(maxsize=8192)
def _tokens(segment: str) -> tuple[str, ...]:
    """Characters, `*`, `?`, and whole classes as `[a-z]`."""
    return tuple(_TOKEN.findall(segment))


def _tokens_in_doubt(segment: str) -> tuple[str, ...]:
    """A class stands for one character or for its own text: so for anything."""
    return tuple("*" if len(token) > 1 else token for token in _tokens(segment))


def _is_one(token: str, character: str) -> bool:
    return token in (character, "?") or (len(token) > 1 and fnmatchcase(character, token))


def _could_be_one(one: str, other: str) -> bool:
    return one == other or one == "?" or other == "?"


Fits = Callable[[str, str], bool]


def _goes_through(pattern: Sequence[str], items: Sequence[str], star: str, fits: Fits) -> bool:
    """Whether `pattern`, in which `star` stands for any number of items, covers `items` from end to end."""
    at, item, after_star, star_reaches = 0, 0, -1, 0
    while item < len(items):
        if at < len(pattern) and pattern[at] == star:
            at += 1
            after_star, star_reaches = at, item
        elif at < len(pattern) and fits(pattern[at], items[item]):
            at, item = at + 1, item + 1
        elif after_star >= 0:
            star_reaches += 1
            at, item = after_star, star_reaches
        else:
            return False
    return all(segment == star for segment in pattern[at:])


def _can_both(one: Sequence[str], other: Sequence[str], star: str, fits: Fits) -> bool:
    """Whether something is covered by both. Where both have a star only their ends can disagree: what stands between
    fits into the other's star."""
    if star not in other:
        return _goes_through(one, other, star, fits)
    if star not in one:
        return _goes_through(other, one, star, fits)
    return _begin_alike(one, other, star, fits) and _begin_alike(one[::-1], other[::-1], star, fits)


def _begin_alike(one: Sequence[str], other: Sequence[str], star: str, fits: Fits) -> bool:
    for mine, theirs in zip(one, other, strict=False):
        if star in (mine, theirs):
            return True
        if not fits(mine, theirs):
            return False
    return True
