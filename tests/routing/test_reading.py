"""Registry files: read, and refused with every fault in one go."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.domain.errors import SettingsInvalid
from conductor.routing.reading import read_registry
from conductor.routing.registry import CostType, Rules
from tests.support import REPOSITORY

EXAMPLE = REPOSITORY / "examples/routing/registry.yaml"


def read(folder: Path, text: str, name: str = "registry.yaml") -> list[str]:
    """The faults of a file with that text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsInvalid) as caught:
        read_registry(str(path))
    return str(caught.value).splitlines()


def test_the_example_is_read_as_its_comments_say() -> None:
    registry = read_registry(str(EXAMPLE))

    models = {model.name: model for model in registry.models}
    assert list(models) == ["claude:opus", "claude:haiku", "codex", "local"]
    opus, local = models["claude:opus"], models["local"]
    assert (opus.capabilities["debugging-complex-issues"].rating, opus.cost.type) == (5, CostType.SUBSCRIPTION)
    assert opus.capability("frontend-development") == opus.otherwise
    assert local.capability("frontend-development") is None
    assert (local.cost.is_free, models["codex"].cost.input) == (True, 2.5)
    assert registry.rules == Rules(failure_penalty=5, prefer_free=True, fallback=True)


def test_every_fault_is_told_in_one_go_with_its_place(tmp_path: Path) -> None:
    text = """
models:
  - agent: claude
    model: opus
    costs: {type: free}
    capabilities:
      api-developement: {rating: 5, max_complexity: 5}
      code-review: {rating: 9, max_complexity: 2.5}
  - model: sol
    cost: {type: cheap, input: -1}
    otherwise: {rating: "4", max_complexity: 3}
fallbacks: true
"""
    faults = read(tmp_path, text)

    assert "has 9 faults" in faults[0]
    told = "\n".join(faults[1:])
    for expected in (
        "models.0.costs (claude:opus): unknown, did you mean cost?",
        "no category 'api-developement', did you mean api-development?",
        "models.0.capabilities.code-review.rating (claude:opus): ",
        "models.0.capabilities.code-review.max_complexity (claude:opus): ",
        "models.1.agent (sol): Field required",
        "models.1.cost.type (sol): ",
        "models.1.cost.input (sol): ",
        "models.1.otherwise.rating (sol): Input should be a valid number",
        "fallbacks: unknown, did you mean fallback?",
    ):
        assert expected in told


def test_a_model_that_stands_there_twice_is_a_fault(tmp_path: Path) -> None:
    one = "  - {agent: claude, model: opus, otherwise: {rating: 3, max_complexity: 3}}\n"

    assert "claude:opus stands there 2 times" in read(tmp_path, f"models:\n{one}{one}")[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [", "neither YAML nor JSON"),
        ("- 1", "must hold `models:`"),
        ("", "must hold `models:`"),
        ("models: []", "models: "),
        ("models: [{agent: '../x', otherwise: {rating: 3, max_complexity: 3}}]", "models.0.agent"),
        ("models: [{agent: a, model: '--danger'}]", "does not begin with a dash"),
        ("models: [{agent: a, model: 'a b'}]", "white space"),
        ("models: [{agent: a, otherwise: {rating: .nan, max_complexity: 3}}]", "rating"),
        ("models: [{agent: a, otherwise: {rating: true, max_complexity: 3}}]", "rating"),
        ("models: !!python/object/apply:os.system ['true']", "neither YAML nor JSON"),
        ("version: 2\nmodels: [{agent: a}]", "version"),
    ],
)
def test_what_is_no_registry_is_refused_and_says_why(tmp_path: Path, text: str, said: str) -> None:
    assert said in "\n".join(read(tmp_path, text))


def test_a_file_that_is_not_there_is_told_with_the_setting_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"routing\.registry"):
        read_registry(str(tmp_path / "none.yaml"))


def test_json_that_is_broken_is_told(tmp_path: Path) -> None:
    assert "neither YAML nor JSON" in read(tmp_path, "{", "agent-registry.json")[0]
