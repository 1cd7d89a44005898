"""Lines of results.txt that one person may see."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from conductor.domain.errors import BadTask
from conductor.domain.home import Home
from conductor.domain.lines import ResultLine, format_result, parse_result
from conductor.domain.sharing import Person
from conductor.domain.view import Ended
from conductor.kit.segments import Follower, end_of, lines_backwards

_FARTHEST_BACK = 4 << 20
"""How many bytes of everybody's results one asks to be looked through: nobody pays for what all did without end."""
_MOST_AT_ONCE = 1 << 20


class OwnResults:
    def __init__(self, home: Home, ended: Callable[[str], Ended | None]) -> None:
        self._path = home.results
        self._ended = ended

    def last(self, person: Person, most: int) -> tuple[list[str], int]:
        """The last lines of this person's, oldest first, and the position behind them."""
        follower = Follower(self._path)
        follower.close()
        found: list[str] = []
        for line in self._backwards(person):
            if len(found) >= most:
                break
            found.append(format_result(line))
        return found[::-1], follower.position

    def after(self, person: Person, position: int) -> tuple[list[str], int]:
        """Those that came after `position`, among about a megabyte of everybody's; and the position behind them."""
        follower = Follower(self._path, max(0, position - 1))
        # From the byte before: whoever begins in the middle of a line must not be shown its rest as if it were one.
        is_torn = position > 0 and follower.position == position - 1
        found: list[str] = []
        taken = 0
        try:
            while taken < _MOST_AT_ONCE and (piece := follower.read()):
                taken += len(piece)
                lines = piece.split(b"\n")[1 if is_torn else 0 : -1]
                is_torn = False
                found.extend(format_result(line) for line in _own(person, lines))
            return found, follower.position if taken else min(position, end_of(self._path))
        finally:
            follower.close()

    def lately_ended(self, person: Person, most: int, without: set[str]) -> Iterator[Ended]:
        """The last of this person's tasks that ended, latest first."""
        left = most
        for line in self._backwards(person):
            if left <= 0:
                return
            if line.task_id not in without:
                without.add(line.task_id)
                view = self._ended(line.task_id)
                if view is not None:
                    left -= 1
                    yield view

    def _backwards(self, person: Person) -> Iterator[ResultLine]:
        """This person's lines, latest first, as far back as is looked."""
        left = _FARTHEST_BACK
        for line in lines_backwards(self._path):
            left -= len(line) + 1
            if left < 0:
                return
            yield from _own(person, [line])


def _own(person: Person, lines: list[bytes]) -> Iterator[ResultLine]:
    """Whose a line is stands at its beginning: no other is read. One that can't be read is passed over."""
    for line in lines:
        if person.may_see(line.partition(b"|")[0].decode("utf-8", "replace")):
            try:
                yield parse_result(line.decode("utf-8", "replace"))
            except BadTask:
                continue
