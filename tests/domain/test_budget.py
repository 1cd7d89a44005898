"""Budgets as they are written, and how much of one is used."""

from __future__ import annotations

import pytest

from conductor.domain.budget import Budget, parse_budget
from conductor.domain.errors import UsageError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2usd", Budget(usd=2.0)),
        ("0.50 USD", Budget(usd=0.5)),
        ("3$", Budget(usd=3.0)),
        ("500ktok", Budget(tokens=500_000)),
        ("2mtok", Budget(tokens=2_000_000)),
        ("1200tokens", Budget(tokens=1200)),
        ("2usd, 500ktok", Budget(2.0, 500_000)),
    ],
)
def test_amounts_are_read(text: str, wanted: Budget) -> None:
    assert parse_budget(text) == wanted


@pytest.mark.parametrize("text", ["", "2", "usd", "-1usd", "2eur", "1e9usd", "2usd 3usd", ",", "infusd"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_budget(text)


def test_the_fuller_of_money_and_tokens_counts() -> None:
    budget = Budget(usd=2.0, tokens=1000)

    assert budget.share(1.0, 900) == (0.9, "900 of 1000 tokens")
    assert budget.share(1.9, 100) == (0.95, "1.9 of 2 usd")


def test_unknown_money_uses_nothing_up_and_tokens_still_count() -> None:
    assert Budget(usd=2.0).share(None, 10**9) == (0.0, "")
    assert Budget(usd=2.0, tokens=10).share(None, 10)[0] == 1.0


def test_a_budget_of_nothing_is_used_up_at_once() -> None:
    assert Budget(usd=0.0).share(0.0, 0)[0] == 1.0
    assert Budget(tokens=0).share(None, 0)[0] == 1.0
