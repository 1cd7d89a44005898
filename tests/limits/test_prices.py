"""Prices: the shipped table, the user's over it, and models that nobody has a price for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conductor.domain.errors import SettingsInvalid
from conductor.domain.home import Home
from conductor.domain.usage import Price, Usage, price_of
from conductor.limits.prices import SHIPPED, PriceList, shipped_prices
from conductor.settings.limits import user_prices

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("model", "input_price"),
    [
        ("claude-opus-4-5", 5),
        ("claude-opus-4-5-20251101", 5),
        ("anthropic/claude-opus-4-5-20251101", 5),
        ("claude-opus-4-20250514", 15),
        ("claude-sonnet-4-5[1m]", 3),
        ("Claude-Haiku-4-5", 1),
        ("gpt-5", 1.25),
        ("gpt-5-2025-08-07", 1.25),
        ("gpt-5-mini", 0.25),
        ("gemini-2.5-pro-preview-06-05", 1.25),
        ("gemini-2.5-flash-lite", 0.1),
    ],
)
def test_a_model_is_found_by_its_name_without_its_date_and_provider(model: str, input_price: float) -> None:
    price = PriceList().price(model)

    assert price is not None
    assert price.input == input_price


@pytest.mark.parametrize(
    "model", ["", "gpt-5-turbo", "claude-opus-4-99", "claude", "o3-deep", "llama-4", "gpt-55", "/"]
)
def test_a_model_that_only_begins_like_a_known_one_has_no_price(model: str) -> None:
    assert PriceList().cost(model, Usage(input=5)) is None


def test_cost_counts_every_kind_of_token_at_its_price() -> None:
    usage = Usage(input=MILLION, cached=MILLION, cache_written=MILLION, output=MILLION, reasoning=MILLION)

    assert PriceList().cost("claude-opus-4-5", usage) == pytest.approx(5 + 0.5 + 6.25 + 25)


def test_where_the_price_of_cached_tokens_is_not_known_they_cost_as_input() -> None:
    assert Price(2.0, 8.0).cost(Usage(cached=MILLION, cache_written=MILLION)) == 4.0


def test_the_users_prices_lie_over_the_shipped_ones_and_may_stand_for_many() -> None:
    prices = PriceList({"gpt-5": {"input": 7, "output": 8}, "llama-*": {"input": 0, "output": 0}})

    assert prices.cost("gpt-5", Usage(input=MILLION)) == 7
    assert prices.cost("gpt-5-mini", Usage(input=MILLION)) == 0.25
    assert prices.cost("llama-4-scout", Usage(input=MILLION)) == 0.0


def test_an_exact_name_wins_over_a_star_and_a_longer_star_over_a_shorter() -> None:
    table = {"a-*": Price(1, 1), "a-b*": Price(2, 2), "a-bc": Price(3, 3)}

    found = [price_of(model, table) for model in ("a-x", "a-by", "a-bc", "A-BC-latest", "b")]

    assert [price.input if price else None for price in found] == [1, 2, 3, 3, None]


def test_the_shipped_table_says_its_date_and_sources_and_every_price_makes_sense() -> None:
    head = json.loads(Path(SHIPPED).read_text(encoding="utf-8"))

    assert head["date"].startswith("20")
    assert head["sources"]
    for name, price in shipped_prices().items():
        assert 0 < (price.cached or price.input) <= price.input < price.output, name
        assert price.cache_written is None or price.input < price.cache_written < 2 * price.input, name


def test_the_users_file_is_read_and_checked(tmp_path: Path) -> None:
    home = Home(str(tmp_path))
    assert user_prices(home, "prices.yaml") == {}
    (tmp_path / "prices.yaml").write_text("my-model: {input: 1, output: 2.5}\n")

    (price,) = user_prices(home, "prices.yaml").values()

    assert PriceList({"my-model": price}).cost("my-model", Usage(input=MILLION, output=MILLION)) == 3.5


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("m: {input: 1}", "m.output"),
        ("m: {input: -1, output: 1}", "m.input"),
        ("m: {input: 1, output: .nan}", "m.output"),
        ("m: {input: 1, output: 1, outptu: 2}", "m.outptu"),
        ("m: 5", "m"),
    ],
)
def test_wrong_prices_are_told_with_their_place(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "prices.yaml").write_text(text)

    with pytest.raises(SettingsInvalid, match=fault):
        user_prices(Home(str(tmp_path)), "prices.yaml")
