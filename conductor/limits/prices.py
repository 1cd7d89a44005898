"""What model calls cost, from the shipped table with the user's laid over it. A model in neither has no price."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from conductor.domain.usage import Price, Usage, price_from, price_of

SHIPPED = os.path.join(os.path.dirname(__file__), "prices.json")


class PriceList:
    """Reads the shipped table when it is first asked. `over`: the user's table, {model: {input, output, ...}}."""

    def __init__(self, over: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._over = over or {}
        self._prices: dict[str, Price] = {}

    def cost(self, model: str, usage: Usage) -> float | None:
        """US dollars; None: nobody knows."""
        price = self.price(model)
        return None if price is None else price.cost(usage)

    def price(self, model: str) -> Price | None:
        if not self._prices:
            self._prices = {**shipped_prices(), **{name: price_from(fields) for name, fields in self._over.items()}}
        return price_of(model, self._prices)


def shipped_prices() -> dict[str, Price]:
    with open(SHIPPED, encoding="utf-8") as file:
        return {name: price_from(fields) for name, fields in json.load(file)["prices"].items()}
