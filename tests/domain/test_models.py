"""Names of models: aliases mean the fitting model of each kind, and what an agent can't do is said with what it can."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.errors import BadTask
from conductor.domain.models import DEFAULT_ALIASES, check_thinking, merged_aliases, resolve_model
from conductor.domain.providers import DEFAULT_PROVIDER


@pytest.mark.parametrize(
    ("asked", "kind", "model"),
    [
        ("", "claude", ""),
        ("cheap", "claude", "haiku"),
        ("research", "claude", "opus"),
        ("primary", "gemini", "pro"),
        ("opus", "claude", "opus"),
        ("claude-opus-5-5", "anthropic", "claude-opus-5-5"),
        ("anthropic/claude-opus-5-5", "anthropic", "claude-opus-5-5"),
        ("openai/gpt-6-sol", "codex", "gpt-6-sol"),
        ("anthropic/claude-sonnet-5", "opencode", "anthropic/claude-sonnet-5"),
        ("anthropic/claude-sonnet-5", "openclaw", "anthropic/claude-sonnet-5"),
    ],
)
def test_a_name_becomes_the_one_that_its_kind_of_agent_knows(asked: str, kind: str, model: str) -> None:
    assert resolve_model(asked, kind, DEFAULT_ALIASES) == model


def test_a_provider_s_name_stays_where_it_belongs_to_another_one() -> None:
    """OpenRouter's own names look like that."""
    assert resolve_model("openai/gpt-6-sol", "chat", {}, provider="openrouter") == "openai/gpt-6-sol"
    assert resolve_model("openrouter/openai/gpt-6-sol", "chat", {}, provider="openrouter") == "openai/gpt-6-sol"


def test_an_alias_of_the_settings_wins_and_may_stand_for_another_one() -> None:
    # given
    aliases = merged_aliases({"cheap": {"codex": "mini"}, "quick": "cheap", "local": {"*": "qwen3", "claude": "haiku"}})

    # then
    assert resolve_model("cheap", "codex", aliases) == "mini"
    assert resolve_model("cheap", "claude", aliases) == "haiku"
    assert resolve_model("quick", "claude", aliases) == "haiku"
    assert resolve_model("local", "chat", aliases) == "qwen3"


def test_one_model_for_every_kind_replaces_what_an_alias_meant() -> None:
    aliases = merged_aliases({"primary": "qwen3"})
    assert {resolve_model("primary", kind, aliases) for kind in ("claude", "codex", "chat")} == {"qwen3"}


def test_an_alias_without_a_model_for_the_kind_says_what_to_write() -> None:
    with pytest.raises(BadTask, match=r"'cheap' means nothing to chat.*models: \{cheap: \{chat: MODEL\}\}"):
        resolve_model("cheap", "chat", DEFAULT_ALIASES)


def test_an_alias_that_names_itself_is_the_model_of_that_name() -> None:
    assert resolve_model("sonnet", "claude", merged_aliases({"sonnet": {"claude": "sonnet"}})) == "sonnet"


def test_aliases_that_go_round_in_a_circle_are_told() -> None:
    with pytest.raises(BadTask, match="stands for itself"):
        resolve_model("a", "claude", merged_aliases({"a": "b", "b": "a"}))


@given(st.text(max_size=20), st.dictionaries(st.text("abc", max_size=2), st.text("abc", max_size=2), max_size=5))
def test_whatever_the_aliases_are_a_name_is_resolved_or_refused(asked: str, models: dict[str, str]) -> None:
    try:
        assert isinstance(resolve_model(asked, "claude", merged_aliases(models)), str)
    except BadTask:
        pass


def test_our_aliases_name_kinds_that_there_are_and_models_without_a_dash_in_front() -> None:
    for models in DEFAULT_ALIASES.values():
        assert set(models) <= set(DEFAULT_PROVIDER)
        assert not any(model.startswith("-") or not model for model in models.values())


@pytest.mark.parametrize(("level", "accepted"), [("high", "high"), (" High ", "high"), ("", "")])
def test_a_level_that_is_accepted_is_given_as_the_agent_writes_it(level: str, accepted: str) -> None:
    assert check_thinking(level, ("low", "high"), "codex") == accepted


def test_an_agent_that_declares_no_levels_takes_any_text() -> None:
    assert check_thinking("Very hard", (), "generic") == "Very hard"


def test_a_level_that_is_not_accepted_is_refused_with_those_that_are() -> None:
    with pytest.raises(BadTask, match="agent codex has no thinking level 'max': it accepts low, high"):
        check_thinking("max", ("low", "high"), "codex")
