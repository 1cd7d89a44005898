"""Limits and budgets in conductor.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.domain.budget import Budget
from conductor.domain.errors import SettingsInvalid
from conductor.domain.home import Home
from conductor.domain.limit_rules import BudgetRules, LimitRules
from conductor.settings.model import Settings, load_settings


def load(tmp_path: Path, text: str) -> Settings:
    home = Home(str(tmp_path))
    Path(home.settings_file).write_text(text, encoding="utf-8")
    return load_settings(home, {})


def test_without_settings_nothing_costs_too_much_and_limits_park(tmp_path: Path) -> None:
    found = load(tmp_path, "")

    assert found.limits.rules() == LimitRules()
    assert found.budgets.rules() == BudgetRules()
    assert found.prices == "prices.yaml"


def test_budgets_of_tasks_projects_and_days_are_read(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
limits: {park: false, longest_park: 2d, wait_in_run: 5m, memory_floor: 1g}
budgets:
  task: {usd: 2}
  project: {usd: 10, runs_per_hour: 5}
  day: {tokens: 1000000}
  projects:
    big: {usd: 100, task: {tokens: 5}}
    own: {}
""",
    )

    assert found.limits.rules() == LimitRules(False, 2 * 86400.0, 300.0, 1 << 30)
    assert found.budgets.rules() == BudgetRules(
        task=Budget(usd=2),
        project=Budget(usd=10, runs=5),
        day=Budget(tokens=1_000_000),
        projects={"big": Budget(usd=100), "own": Budget()},
        project_tasks={"big": Budget(tokens=5)},
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("limits: {parc: true}", "limits.parc: unknown, did you mean park?"),
        ("limits: {longest_park: soon}", "limits.longest_park"),
        ("budgets: {day: {usd: -1}}", "budgets.day.usd"),
        ("budgets: {day: {usd: .inf}}", "budgets.day.usd"),
        ("budgets: {task: {runs_per_hour: 1}}", "budgets.task.runs_per_hour: unknown"),
        ("budgets: {projects: {'a/b': {usd: 1}}}", "budgets.projects.a/b"),
    ],
)
def test_faults_are_told_with_their_place(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load(tmp_path, text)

    assert fault in str(caught.value)
