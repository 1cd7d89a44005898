"""`generic`: a command line agent from its YAML alone, with a small program that stands in for one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from conductor.agents.generic import GenericAgent
from conductor.domain.agent_setup import AgentSetup, Autonomy
from conductor.domain.errors import BadTask
from conductor.domain.failure import Failure
from conductor.domain.tally import Tally
from conductor.domain.usage import Usage
from conductor.ports import Abilities, AgentReport, Ending, Endpoint, Prompt
from conductor.settings.generic import GenericOptions
from conductor.settings.model import Settings
from tests.agents.prompts import prompt_in, tally_of, write_files

TEN_LINES = """
agents:
  talker:
    kind: generic
    argv: [talker, --json, "{mode}", [--model, "{model}"], [--think, "{thinking}"], --in, "{workspace}"]
    output: jsonl
    paths: {text: say, error: bad, input: use.in, cached: use.hit, output: use.out, cost: usd, model: by, session: s}
    input_includes_cached: true
    env: {TALKER_URL: "{endpoint_url}/v1", TALKER_KEY: "{endpoint_key}", TALKER_HOME: "{state}/home"}
    levels: {low: "1", high: "9"}
    modes: {read-only: [--look], workspace: [--work], full: [--anything]}
"""


def options(text: str = TEN_LINES) -> dict[str, Any]:
    (one,) = yaml.safe_load(text)["agents"].values()
    del one["kind"]
    return GenericOptions.model_validate(one).model_dump(mode="json")


def talker(**changes: Any) -> GenericAgent:
    return GenericAgent(AgentSetup("talker", "generic", options={**options(), **changes}))


def plain(**changes: Any) -> GenericAgent:
    given = GenericOptions.model_validate({"argv": ["teller"], **changes}).model_dump(mode="json")
    return GenericAgent(AgentSetup("teller", "generic", options=given))


def run(agent: GenericAgent, prompt: Prompt, program: str) -> AgentReport:
    """The judgement of one run of `program`, a shell script in the place of the agent's."""
    launch = agent.launch(prompt)
    write_files(prompt, launch)
    binary = Path(prompt.attempt_directory, "stand-in")
    binary.write_text(f"#!/bin/sh\n{program}\n")
    binary.chmod(0o755)
    with open(launch.stdin or "/dev/null", "rb") as asked:
        ended = subprocess.run(
            [str(binary), *launch.argv[1:]], stdin=asked, capture_output=True, check=False, env=dict(launch.env)
        )
    reader = agent.reader()
    told = tally_of(reader, ended.stdout) if reader else Tally()
    tail = (ended.stdout + ended.stderr).decode()
    return agent.judge(prompt, Ending(ended.returncode, None, tail, told))


def test_ten_lines_of_yaml_are_settings_that_a_nursery_can_be_told() -> None:
    told = json.loads(json.dumps(Settings.model_validate(yaml.safe_load(TEN_LINES)).agent_setups()["talker"].to_dict()))

    agent = GenericAgent(AgentSetup.from_dict(told))

    assert agent.abilities.thinking == ("low", "high")


def test_a_task_fills_the_template(tmp_path: Path) -> None:
    prompt = prompt_in(tmp_path, model="m-1", thinking="high", endpoint=Endpoint("http://127.0.0.1:1", "k"))

    launch = talker().launch(prompt)

    assert launch.argv == (
        *("talker", "--json", "--work", "--model", "m-1", "--think", "9", "--in"),
        prompt.workspace,
    )
    env = dict(launch.env)
    assert (env["TALKER_URL"], env["TALKER_KEY"]) == ("http://127.0.0.1:1/v1", "k")
    assert env["TALKER_HOME"] == f"{prompt.state_directory}/home"
    assert dict(launch.files)[launch.stdin] == "say hello"


def test_what_nobody_asked_for_is_left_out(tmp_path: Path) -> None:
    launch = talker().launch(prompt_in(tmp_path))

    assert launch.argv[:4] == ("talker", "--json", "--work", "--in")
    assert "TALKER_URL" not in dict(launch.env)


def test_the_prompt_goes_by_file_where_the_program_wants_one(tmp_path: Path) -> None:
    prompt = prompt_in(tmp_path)
    launch = plain(argv=["teller", "--file={prompt_file}"], prompt="file").launch(prompt)

    path = launch.argv[1].removeprefix("--file=")
    assert launch.stdin == ""
    assert dict(launch.files)[path] == "say hello"


def test_a_value_becomes_neither_an_option_nor_a_template(tmp_path: Path) -> None:
    agent = plain(argv=["teller", "{model}", "--m={model}"])

    with pytest.raises(BadTask, match="would be an option"):
        agent.launch(prompt_in(tmp_path, model="--force"))
    assert agent.launch(prompt_in(tmp_path, model="{state}")).argv[1:] == ("{state}", "--m={state}")


def test_autonomy_is_one_of_its_modes(tmp_path: Path) -> None:
    assert "--anything" in talker().launch(prompt_in(tmp_path, autonomy=Autonomy.FULL)).argv
    with pytest.raises(BadTask, match="has workspace"):
        talker(modes={"workspace": []}).launch(prompt_in(tmp_path, autonomy=Autonomy.FULL))


def test_without_modes_read_only_can_not_be_promised(tmp_path: Path) -> None:
    plain().launch(prompt_in(tmp_path))
    with pytest.raises(BadTask, match="no mode for read-only"):
        plain().launch(prompt_in(tmp_path, autonomy=Autonomy.READ_ONLY))


def test_a_thinking_level_that_it_lacks_is_refused_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(BadTask, match="accepts low, high"):
        talker().launch(prompt_in(tmp_path, thinking="max"))
    with pytest.raises(BadTask, match="accepts none"):
        plain().launch(prompt_in(tmp_path, thinking="low"))


def test_its_abilities_follow_from_its_yaml() -> None:
    assert talker().abilities == Abilities(
        stream=True, usage=True, input_includes_cached=True, binary="talker", thinking=("low", "high")
    )
    assert plain().abilities == Abilities(binary="teller")


def test_a_stream_of_lines_is_told_and_judged(tmp_path: Path) -> None:
    lines = [
        {"s": "s-1", "by": "m-2"},
        {"say": "working"},
        {"say": "done: 4", "use": {"in": 10, "hit": 4, "out": 3}, "usd": 0.25},
    ]

    report = run(talker(), prompt_in(tmp_path), "cat <<'END'\n" + "\n".join(map(json.dumps, lines)) + "\nEND")

    assert report.succeeded, report
    assert (report.text, report.session, report.model, report.usd) == ("done: 4", "s-1", "m-2", 0.25)
    assert report.usage == Usage(input=6, cached=4, output=3)


@pytest.mark.parametrize(
    ("program", "failure", "reason"),
    [
        ("""echo '{"say": "x", "bad": "rate limit reached"}'""", Failure.LIMIT, "rate limit reached"),
        ("""echo '{"say": "x"}'; exit 3""", Failure.NONE, "exit 3"),
        ("""echo '{"s": "s"}'""", Failure.EMPTY, "said nothing"),
        ("echo no json", Failure.CUT, "never came"),
        ("echo 'invalid api key' >&2; exit 1", Failure.BAD_KEY, "invalid api key"),
    ],
)
def test_a_stream_that_is_no_success_is_classed(program: str, failure: Failure, reason: str, tmp_path: Path) -> None:
    report = run(talker(), prompt_in(tmp_path), program)

    assert (report.succeeded, report.failure) == (False, failure), report
    assert reason in report.reason


def test_one_document_on_many_lines_is_read_whole(tmp_path: Path) -> None:
    paths = {"text": "choices.0.message.content", "output": "usage.out"}
    agent = plain(output="json", paths=paths)
    document = json.dumps({"choices": [{"message": {"content": "four"}}], "usage": {"out": 2}}, indent=2)

    report = run(agent, prompt_in(tmp_path), f"cat <<'END'\n{document}\nEND")

    assert (report.succeeded, report.text, report.usage) == (True, "four", Usage(output=2))


@pytest.mark.parametrize(
    ("program", "succeeded", "failure"),
    [
        ("cat", True, Failure.NONE),
        ("true", False, Failure.EMPTY),
        ("cat; exit 7", True, Failure.NONE),
        ("echo connection refused; exit 1", False, Failure.NETWORK),
        ("exit 1", False, Failure.NONE),
        ('echo "conductor: can\'t start teller: No such file or directory"; exit 126', False, Failure.BAD_CONFIG),
        ("echo unknown option: seen on the way; echo it broke; exit 1", False, Failure.NONE),
    ],
)
def test_plain_text_is_the_answer(program: str, succeeded: bool, failure: Failure, tmp_path: Path) -> None:
    report = run(plain(success_exit=[0, 7]), prompt_in(tmp_path), program)

    assert (report.succeeded, report.failure) == (succeeded, failure), report
    assert not succeeded or report.text == "say hello"
    assert succeeded or report.reason


def test_without_an_argv_there_is_no_agent() -> None:
    with pytest.raises(BadTask, match="say its argv"):
        GenericAgent(AgentSetup("generic", "generic"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Field required"),
        ({"argv": []}, "begins with the program"),
        ({"argv": ["{model}"]}, "begins with the program"),
        ({"argv": ["x", "{prompt}"]}, "no placeholder {prompt}"),
        ({"argv": ["x"], "prompt": "file"}, "needs {prompt_file}"),
        ({"argv": ["x"], "output": "jsonl"}, "needs paths.text"),
        ({"argv": ["x"], "paths": {"text": "a..b"}, "output": "json"}, "write a path"),
        ({"argv": ["x"], "levels": {"huge": "9"}}, "thinking level 'huge'"),
        ({"argv": ["x"], "modes": {"workspace": []}}, "need an argument {mode}"),
        ({"argv": ["x"], "env": {"A B": "c"}}, "not the name of a variable"),
        ({"argv": ["x"], "env": {"A": "{prompt_file}"}}, "no placeholder {prompt_file}"),
        ({"argv": ["x"], "shell": True}, "Extra inputs"),
    ],
)
def test_yaml_that_makes_no_agent_is_refused_with_what_is_wrong(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        GenericOptions.model_validate(given)


@pytest.mark.parametrize("number", ["1e400", "-3", "NaN", "1" + "0" * 400, '"4"', "true", "[]"])
@pytest.mark.parametrize("output", ["json", "jsonl"])
def test_a_number_that_is_none_is_not_counted(output: str, number: str) -> None:
    paths = {"text": "say", "input": "in", "output": "out", "cost": "usd"}

    told = tally_of(
        plain(output=output, paths=paths).reader(),
        f'{{"say": "four", "in": {number}, "out": 2, "usd": {number}}}\n'.encode(),
    )

    assert told.text == "four"
    assert told.usage == Usage(output=2)
    assert told.usd is None
