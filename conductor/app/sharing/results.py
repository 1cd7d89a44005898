"""Lines of results.txt that one person may see."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from conductor.domain.errors import BadTask
from conductor.domain.home import Home
from conductor.domain.lines import ResultLine, format_result, parse_result
from conductor.domain.sharing import Person
from conductor.domain.view import Ended
from conductor.kit.segments import Follower, end_of

_TAIL = 4 << 20
"""How far back is looked for the last lines: a member pays for what others did, and not without end."""
_MOST_AT_ONCE = 1 << 20


class OwnResults:
    def __init__(self, home: Home, ended: Callable[[str], Ended | None]) -> None:
        self._path = home.results
        self._ended = ended

    def last(self, person: Person, most: int) -> tuple[list[str], int]:
        """The last lines of this person's, oldest first, and the position behind them."""
        found, position = self._read(person, self._tail(), _TAIL)
        return [format_result(line) for line in found[-most:] if most], position

    def after(self, person: Person, position: int) -> tuple[list[str], int]:
        """Those that came after `position`, at most a megabyte of everybody's; and the position behind them."""
        found, behind = self._read(person, max(0, position), _MOST_AT_ONCE)
        return [format_result(line) for line in found], behind

    def lately_ended(self, person: Person, most: int, without: set[str]) -> Iterator[Ended]:
        """The last of this person's tasks that ended, latest first."""
        left = most
        for line in reversed(self._read(person, self._tail(), _TAIL)[0]):
            if left <= 0:
                return
            if line.task_id not in without:
                without.add(line.task_id)
                view = self._ended(line.task_id)
                if view is not None:
                    left -= 1
                    yield view

    def _tail(self) -> int:
        return max(0, end_of(self._path) - _TAIL)

    def _read(self, person: Person, position: int, most: int) -> tuple[list[ResultLine], int]:
        follower = Follower(self._path, max(0, position - 1))
        # From the byte before: whoever begins in the middle of a line must not be shown its rest as if it were one.
        is_torn = position > 0 and follower.position == position - 1
        found: list[ResultLine] = []
        try:
            taken = 0
            while taken < most and (piece := follower.read()):
                taken += len(piece)
                whole = piece[piece.index(b"\n") + 1 :] if is_torn else piece
                is_torn = False
                found.extend(line for line in _parsed(whole) if person.may_see(line.task_id))
            return found, follower.position if taken else position
        finally:
            follower.close()


def _parsed(piece: bytes) -> Iterator[ResultLine]:
    """A line that can't be read is passed over."""
    for line in piece.decode("utf-8", "replace").split("\n")[:-1]:
        try:
            yield parse_result(line)
        except BadTask:
            continue
