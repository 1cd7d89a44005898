"""Events of a stream, and the bytes they become."""

from __future__ import annotations

import json
from dataclasses import dataclass

from conductor.testing.sim.asked import Json


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event. `is_answer`: it carries a piece of the answer itself; faults of streams count those."""

    body: Json | str
    name: str = ""
    is_answer: bool = False

    def encoded(self) -> bytes:
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        head = f"event: {self.name}\n" if self.name else ""
        return f"{head}data: {text}\n\n".encode()
