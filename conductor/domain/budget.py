"""What a task, a project or a day may cost."""

from __future__ import annotations

import re
from dataclasses import dataclass

from conductor.domain.errors import UsageError

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(usd|\$|k?tok(?:ens)?|mtok(?:ens)?)", re.IGNORECASE)
WARNING_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Budget:
    """None: no limit. Money is US dollars; `runs` are attempts started within an hour."""

    usd: float | None = None
    tokens: int | None = None
    runs: int | None = None

    def share(self, usd: float | None, tokens: int) -> tuple[float, str]:
        """How much of it is used (1.0: all), and of what: `1.60 of 2.00 usd`. Unknown money counts as none."""
        shares = [(0.0, "")]
        if self.usd is not None and usd is not None:
            shares.append((usd / self.usd if self.usd else 1.0, f"{usd:.4g} of {self.usd:g} usd"))
        if self.tokens is not None:
            shares.append((tokens / self.tokens if self.tokens else 1.0, f"{tokens} of {self.tokens} tokens"))
        return max(shares)


def parse_budget(text: str) -> Budget:
    """`2usd`, `500ktok` or `2usd,500ktok`. Raises UsageError."""
    usd: float | None = None
    tokens: int | None = None
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = _PART.fullmatch(part)
        if not match:
            raise UsageError(f"budget {part[:40]!r}: write an amount as 2usd, 0.50usd, 500ktok or 2mtok")
        number, unit = float(match[1]), match[2].lower()
        if unit in ("usd", "$"):
            usd = number
        else:
            tokens = round(number * {"k": 1e3, "m": 1e6}.get(unit[0], 1))
    if usd is None and tokens is None:
        raise UsageError("a budget names money or tokens: 2usd, 500ktok, or both with a comma")
    return Budget(usd, tokens)
