"""What examples/ and the README show, done as a reader would do it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from conductor.domain.home import Home
from conductor.queue.layout import open_home
from conductor.settings.model import Settings, load_settings
from tests.conftest import DaemonFactory
from tests.support import REPOSITORY, clean_environment, eventually, result_lines, run_cli

EXAMPLES = REPOSITORY / "examples"
_COMMAND = re.compile(r"(?:^|[`;|:] ?)conductor ([a-z]+)\b", re.MULTILINE)


def pages() -> dict[str, str]:
    """README.md and what lies beside it in docs/, by name."""
    found = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
    return {page.name: page.read_text() for page in found}


def shell(home: Home, script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A line of shell with `conductor` on the PATH."""
    bin_folder = cwd / "bin"
    bin_folder.mkdir(exist_ok=True)
    wrapper = bin_folder / "conductor"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -m conductor "$@"\n')
    wrapper.chmod(0o755)
    environment = clean_environment(home)
    environment["PATH"] = f"{bin_folder}:{environment['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-c", script], env=environment, cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_the_shell_example_runs_as_it_is(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    daemon()

    ran = shell(home, str(EXAMPLES / "plain-shell.sh"), tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert os.uname().sysname in ran.stdout


def test_every_line_of_the_task_file_runs(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    daemon()

    ran = shell(home, f"conductor submit --lines --wait - <{EXAMPLES / 'tasks.txt'}", tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.split()) == 3
    assert "count-1" in ran.stdout.split()


def test_the_task_file_moved_into_the_inbox_runs_too(daemon: DaemonFactory, home: Home) -> None:
    daemon()

    shutil.copyfile(EXAMPLES / "tasks.txt", f"{home.queue}/inbox/nightly")

    eventually(lambda: len(result_lines(home)) == 3, what="three results")


def test_the_settings_example_is_valid(home: Home) -> None:
    open_home(home)
    shutil.copy(EXAMPLES / "conductor.yaml", home.settings_file)

    settings = load_settings(home, {})

    assert settings.agent == "command"
    assert {name: pool.workers for name, pool in settings.all_pools().items()} == {"default": 3, "heavy": 1}


def test_the_cron_line_submits_one_task_however_often_it_fires(home: Home, tmp_path: Path) -> None:
    line = (EXAMPLES / "nightly.crontab").read_text().splitlines()[-1]
    command = line.split(None, 5)[5].replace("\\%", "%")

    answers = [shell(home, command, tmp_path) for _ in range(2)]

    assert [answer.returncode for answer in answers] == [0, 0], answers
    assert answers[0].stdout == answers[1].stdout
    assert run_cli(home, "list", "--json").stdout.count('"task"') == 1


def test_the_demo_ends_as_it_says(home: Home, tmp_path: Path) -> None:
    ran = run_cli(home, "demo", "--tree", str(REPOSITORY / "conductor"), env={"TMPDIR": str(tmp_path)})

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "|RETRY|" in ran.stdout
    assert "on a SIMULATED model" in ran.stdout
    assert "feat: calculator - 5 tasks completed" in ran.stdout
    assert "Ran 6 tests" in ran.stdout
    assert ran.stdout.rstrip().endswith("5 steps of a simulated model's plan were merged, and their tests pass")
    assert list(tmp_path.glob("conductor-demo-*")) == [], "it cleans up"


def test_the_readme_names_every_command_and_no_other() -> None:
    from conductor.cli.main import COMMANDS

    named = {page: set(_COMMAND.findall(text)) for page, text in pages().items()}

    assert named["README.md"] == set(COMMANDS) - {"demo"}
    assert all(found <= set(COMMANDS) for found in named.values())


def test_every_yaml_of_the_readme_is_a_valid_setting(home: Home) -> None:
    import yaml

    blocks = [block for text in pages().values() for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]

    assert len(blocks) >= 2
    for block in blocks:
        assert Settings.model_validate(yaml.safe_load(block)).agent_setups()


def test_the_settings_of_agents_say_what_their_comments_say(home: Home) -> None:
    open_home(home)
    shutil.copy(EXAMPLES / "agents.yaml", home.settings_file)

    settings = load_settings(home, {})
    setups = settings.agent_setups()

    assert (settings.agent, settings.fallback) == ("claude", ("codex", "anthropic"))
    assert (setups["local"].kind, setups["local"].model) == ("chat", "qwen3-coder")
    assert setups["local"].provider is not None
    assert setups["local"].provider.base_url.startswith("http://127.0.0.1")
    assert settings.budgets.day.usd == 40


def test_the_readme_tells_the_memory_that_each_adapter_declares() -> None:
    from conductor.agents.registry import BUILT_IN, make_agent
    from conductor.domain.agent_setup import AgentSetup

    readme = (REPOSITORY / "README.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \|.*\| (\d+) MB \|$", readme, re.MULTILINE))
    kinds = [kind for kind in BUILT_IN if kind not in ("command", "generic")]

    declared = {kind: make_agent(AgentSetup(kind, kind), BUILT_IN).abilities.memory_bytes >> 20 for kind in kinds}
    assert {kind: int(size) for kind, size in told.items()} == declared
