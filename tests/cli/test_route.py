"""`conductor route`, and `conductor submit` that asks the router: programs, keys, limits, registries are real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conductor.app.stores import open_store
from conductor.domain.home import Home
from conductor.domain.plan import CATEGORIES
from conductor.settings.model import Settings
from tests.cli.front import Answer, Shell
from tests.cli.test_front_door import modules_after, running
from tests.support import run_cli

ASKED = "Add a REST endpoint for orders"
REGISTRY: dict[str, Any] = {
    "models": [
        {"agent": "claude", "model": "opus", "otherwise": {"rating": 5, "max_complexity": 5}},
        {"agent": "codex", "model": "sol", "otherwise": {"rating": 4, "max_complexity": 5}},
    ]
}


@pytest.fixture
def here(shell: Shell) -> Path:
    """Claude Code and Codex are installed and have keys; each tells, by a file, when it is started."""
    folder = Path(shell.cwd, "bin")
    folder.mkdir()
    for name in ("claude", "codex"):
        (folder / name).write_text(f"#!/bin/sh\n: >{shell.cwd}/started\n")
        (folder / name).chmod(0o755)
    shell.env.update(PATH=str(folder), ANTHROPIC_API_KEY="sk-ant-api03-x", OPENAI_API_KEY="sk-proj-x")
    return folder


def settings(shell: Shell, registry: dict[str, Any] | None = None, **given: Any) -> None:
    shell.ok("list")
    if registry is not None:
        Path(shell.home.path, "registry.json").write_text(json.dumps(registry))
        given["routing"] = {"registry": "registry.json", **given.get("routing", {})}
    Path(shell.home.settings_file).write_text(json.dumps(given))


def routed(shell: Shell, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = shell.ok("route", "--json", *(arguments or (ASKED,))).json
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [f"{one['agent']}:{one['model']}" for one in found["candidates"]]


def spec_of(shell: Shell, *arguments: str) -> Any:
    (task_id,) = shell.ok("submit", *arguments).ids
    return shell.views()[task_id].spec  # type: ignore[union-attr]


def learned(shell: Shell, **of_claude: Any) -> None:
    record = {"succeeded": 0, "failed": 0, "seconds": 0, "tokens": 0, "failures": [], **of_claude}
    store = open_store(shell.home, Settings())
    store.remember("routing", {"version": 1, "models": {"claude:opus": {"api-development": record}}})
    store.close()


# -- who, and why


def test_the_best_is_one_line_and_no_program_was_started_to_find_it(shell: Shell, here: Path) -> None:
    settings(shell, REGISTRY)

    answer = shell.ok("route", ASKED)

    assert answer.out == "claude:opus  score=80  category=api-development  complexity=3\n"
    assert not Path(shell.cwd, "started").exists()
    assert not Path(shell.home.path, "conductor.db").exists(), "a look makes no database"


def test_without_a_registry_our_own_knows_the_agents_that_are_here(shell: Shell, here: Path) -> None:
    found = routed(shell)

    assert found["registry"] == "built-in"
    assert found["candidates"][0]["agent"] in ("claude", "codex")
    assert {one["agent"] for one in found["candidates"]} <= {"claude", "codex", "anthropic"}
    assert "gemini" not in {one["agent"] for one in found["passed_over"]}


def test_our_own_registry_has_somebody_for_every_category_and_complexity(shell: Shell, here: Path) -> None:
    for complexity in "135":
        for category in CATEGORIES[::6]:
            assert routed(shell, "--category", category, "--complexity", complexity)["candidates"]


def test_an_agent_that_is_set_up_with_a_model_is_asked_for_no_other(shell: Shell, here: Path) -> None:
    settings(shell, agents={"claude": {"model": "opus"}, "deep": {"kind": "claude", "model": "haiku"}})

    found = names(routed(shell))

    assert "claude:" in found
    assert "deep:" in found
    assert not any(name.startswith("claude:") and name != "claude:" for name in found)


def test_where_nothing_is_here_it_says_how_to_get_it_and_exits_1(shell: Shell) -> None:
    shell.env["PATH"] = "/nowhere"

    answer = shell("route", ASKED)

    assert (answer.code, answer.out) == (1, "")
    assert "claude:opus: not installed: npm install -g @anthropic-ai/claude-code" in answer.err


def test_without_key_and_login_nobody_is_sent_there(shell: Shell, here: Path) -> None:
    settings(shell, REGISTRY)
    del shell.env["ANTHROPIC_API_KEY"]

    found = routed(shell)
    assert names(found) == ["codex:sol"]
    assert found["passed_over"][0]["why"] == "no login, and no key at env:ANTHROPIC_API_KEY"

    Path(shell.env["HOME"], ".claude").mkdir()
    Path(shell.env["HOME"], ".claude/.credentials.json").write_text("{}")
    assert names(routed(shell))[0] == "claude:opus"


def test_a_key_that_cannot_be_read_is_told(shell: Shell, here: Path) -> None:
    settings(shell, REGISTRY, providers={"anthropic": {"key": "file:/nowhere/key"}})

    assert "/nowhere/key" in routed(shell)["passed_over"][0]["why"]


def test_a_parked_provider_is_passed_over_and_waited_for_where_all_are(shell: Shell, here: Path) -> None:
    settings(shell, REGISTRY)
    shell.ok("limits", "park", "anthropic", "--for", "1h")
    assert names(routed(shell)) == ["codex:sol"]
    assert "provider anthropic is parked until" in routed(shell)["passed_over"][0]["why"]

    shell.ok("limits", "park", "openai", "--for", "2h")
    found = routed(shell)
    assert names(found) == ["claude:opus", "codex:sol"]
    assert 3500 < found["candidates"][0]["parts"]["parked_seconds"] <= 3600
    assert "claude:opus waits for its limit: " in shell.ok("route", "--explain", ASKED).out

    shell.ok("limits", "forbid", "anthropic")
    assert names(routed(shell)) == ["codex:sol"]


def test_a_model_by_an_alias_is_found_by_what_it_stands_for(shell: Shell, here: Path) -> None:
    settings(shell, REGISTRY, models={"brain": {"claude": "opus"}})

    assert names(routed(shell, "--model", "brain", ASKED)) == ["claude:opus"]


def test_the_list_of_prices_makes_the_expected_cost_and_decides_a_tie(shell: Shell, here: Path) -> None:
    alike = {"rating": 4, "max_complexity": 5}
    models = [{"agent": "claude", "model": name, "otherwise": alike} for name in ("opus", "sonnet", "own")]
    settings(shell, {"models": models})
    Path(shell.home.path, "prices.yaml").write_text("own: {input: 1, output: 1, cached: 1}")

    found = routed(shell)

    assert names(found) == ["claude:own", "claude:sonnet", "claude:opus"]
    own, sonnet, opus = (one["usd_expected"] for one in found["candidates"])
    assert own == 0.4
    assert 0 < sonnet < opus


def test_a_level_of_thinking_is_fitted_to_the_agent(shell: Shell, here: Path) -> None:
    (here / "gemini").symlink_to(here / "claude")
    shell.env["GEMINI_API_KEY"] = "AIza-x"

    assert routed(shell, "--agent", "gemini", "--thinking", "max", ASKED)["candidates"][0]["thinking"] == "high"
    assert routed(shell, "--agent", "claude", "--thinking", "max", ASKED)["candidates"][0]["thinking"] == "max"
    settings(shell, {"models": [{"agent": "gemini", "model": "pro", "otherwise": {"rating": 3, "max_complexity": 5}}]})
    assert routed(shell, "--thinking", "max", ASKED)["candidates"][0]["thinking"] == "high"


# -- registries


def test_what_conductor_yaml_says_wins_over_the_registry(shell: Shell, here: Path) -> None:
    free = {**REGISTRY["models"][1], "cost": {"type": "free"}}
    settings(shell, {"models": [REGISTRY["models"][0], free]})
    assert routed(shell)["candidates"][0]["parts"]["free"] == 0
    assert routed(shell)["candidates"][1]["parts"]["free"] == 10

    settings(shell, {"prefer_free": False, "models": [REGISTRY["models"][0], free]})
    assert routed(shell)["candidates"][1]["parts"]["free"] == 0

    settings(shell, {"prefer_free": False, "models": [REGISTRY["models"][0], free]}, routing={"prefer_free": True})
    assert routed(shell)["candidates"][1]["parts"]["free"] == 10

    settings(shell, {"models": [REGISTRY["models"][0], free]}, routing={"prefer_free": False})
    assert routed(shell)["candidates"][1]["parts"]["free"] == 0


def test_a_registry_with_faults_is_refused_with_each_of_them(shell: Shell, here: Path) -> None:
    broken = {"models": [{"agent": "claude", "capabilities": {"api-dev": {"rating": 6, "max_complexity": 1}}}]}
    settings(shell, broken)

    answer = shell("route", ASKED)

    assert answer.code == 78
    assert "has 2 faults" in answer.err
    assert "did you mean api-development?" in answer.err


def test_what_was_learned_counts_and_is_shown(shell: Shell, here: Path) -> None:
    settings(shell, REGISTRY)
    learned(shell, succeeded=4, failed=1, seconds=600, tokens=5000)

    (claude, codex) = routed(shell)["candidates"]

    assert (claude["parts"]["experience"], codex["parts"]["experience"]) == (4, 0)
    assert claude["performance_metrics"] == {
        "tasks_completed": 4,
        "success_rate": 0.8,
        "avg_completion_time_minutes": 2.5,
        "total_tokens_used": 5000,
    }
    assert "4/5" in shell.ok("route", "--explain", ASKED).out


def test_what_was_learned_is_written_back_into_the_claw_form(shell: Shell, here: Path) -> None:
    skills = {"api-development": {"rating": 5, "max_complexity": 5, "experience_count": 1}}
    entry = {"model_id": "anthropic/opus", "provider": "anthropic", "capabilities": skills, "mine": 1}
    settings(shell, {"agents": {"opus": entry}})
    learned(shell, succeeded=2, seconds=60, tokens=7)

    shell.ok("route", "--write-back")

    written = json.loads(Path(shell.home.path, "registry.json").read_text())["agents"]["opus"]
    assert (written["mine"], written["capabilities"]["api-development"]["experience_count"]) == (1, 3)
    assert written["performance_metrics"]["tasks_completed"] == 2
    assert routed(shell)["candidates"][0]["parts"]["experience"] == 3

    settings(shell)
    assert shell("route", "--write-back").code == 2


# -- how it is shown


def explained(shell: Shell, **env: str) -> Answer:
    return shell.ok("route", "--explain", ASKED, **env)


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_keeps_to_the_width_and_cuts_nothing_off(shell: Shell, here: Path, width: int) -> None:
    del shell.env["OPENAI_API_KEY"]
    settings(shell, REGISTRY)

    answer = explained(shell, COLUMNS=str(width), NO_COLOR="1")

    assert all(len(line) <= width for line in answer.out.splitlines())
    joined = "".join(answer.out.split())
    for word in (
        "RATING",
        "FAILED",
        "notcodex:sol:nologin,andnokeyatenv:OPENAI_API_KEY",
        "api-development,complexity3",
    ):
        assert word in joined
    assert "\x1b" not in answer.out


def test_in_a_pipe_a_line_is_a_line(shell: Shell, here: Path) -> None:
    settings(shell, REGISTRY)

    lines = explained(shell).out.splitlines()

    cells = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(("claude", "codex"))}
    assert cells["claude:opus"][:6] == ["80", "50", "30", "0", "0", "0"]
    assert cells["codex:sol"][:6] == ["70", "40", "30", "0", "0", "0"]


def test_a_wrong_category_is_answered_with_the_near_ones(shell: Shell) -> None:
    answer = shell("route", "--category", "api-dev", ASKED)

    assert answer.code == 2
    assert "did you mean api-development" in answer.err


def test_without_a_text_and_a_category_there_is_nothing_to_route(shell: Shell, here: Path) -> None:
    assert shell("route").code == 2
    assert shell.ok("route", "--category", "code-review").out


# -- submit asks it too


def test_a_submit_that_names_nobody_gets_agent_model_and_thinking(shell: Shell, here: Path) -> None:
    settings(shell, REGISTRY, agent="command", routing={"submit": True})

    spec = spec_of(shell, "Find out why the worker deadlocks")

    assert (spec.agent, spec.model, spec.thinking) == ("claude", "opus", "high")
    assert not Path(shell.cwd, "started").exists()


@pytest.mark.parametrize("given", [("--agent", "command"), ("--model", "opus")])
def test_a_submit_that_names_agent_or_model_is_left_as_it_is(shell: Shell, here: Path, given: tuple[str, str]) -> None:
    settings(shell, REGISTRY, agent="codex", routing={"submit": True})

    spec = spec_of(shell, *given, ASKED)

    assert (spec.agent, spec.model) == (("command", "") if given[0] == "--agent" else ("codex", "opus"))


def test_a_tag_in_the_text_names_the_model_too(shell: Shell, here: Path) -> None:
    settings(shell, REGISTRY, agent="codex", routing={"submit": True})

    assert spec_of(shell, f"{ASKED} [model:o9]").agent == "codex"


def test_each_line_is_routed_by_itself(shell: Shell, here: Path) -> None:
    small = {"agent": "codex", "model": "luna", "otherwise": {"rating": 5, "max_complexity": 1}}
    settings(shell, {"models": [*REGISTRY["models"], small]}, routing={"submit": True})

    answer = shell.ok("submit", "-", stdin="Correct the typo in the title\nWrite a distributed lock\n")

    views = shell.views()
    assert [views[one].spec.model for one in answer.ids] == ["luna", "opus"]  # type: ignore[union-attr]


def test_a_task_that_nobody_can_do_never_goes_to_the_default_agent(shell: Shell, here: Path) -> None:
    settings(shell, REGISTRY, agent="command", routing={"submit": True})
    shell.env["PATH"] = "/nowhere"

    answer = shell("submit", "rm -rf the old exports")

    assert (answer.code, answer.out, shell.views()) == (2, "", {})
    assert "conductor route --explain" in answer.err


def test_off_by_default_the_router_is_not_even_loaded(home: Home) -> None:
    run_cli(home, "init", "--agent", "command")

    loaded = modules_after(home, running("submit", "--id", "a", "true"))

    assert not any("routing" in name for name in loaded)
    assert "conductor.app.setups" not in loaded


def test_on_a_task_that_names_its_agent_does_not_load_the_router_either(home: Home) -> None:
    run_cli(home, "list")
    Path(home.settings_file).write_text('{"routing": {"submit": true}}')

    loaded = modules_after(home, running("submit", "--agent", "command", "--id", "a", "true"))

    assert not any("routing" in name for name in loaded)
