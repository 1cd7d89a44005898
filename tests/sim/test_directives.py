"""What a prompt or a script tells the simulated model to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.errors import UsageError
from conductor.testing.sim import Sim
from conductor.testing.sim.asked import Asked, Turn
from conductor.testing.sim.directives import Step, read_script, steps_in
from conductor.testing.sim.script import answer_to
from tests.sim.asking import ask, chat, schema

BASH = {"type": "function", "function": {"name": "bash", "parameters": schema(command="string")}}

SCRIPT = """
- match: weather
  do: say sunny
- match: build
  do:
    - write: a.py
      content: |
        x = 1
    - run pytest -q
"""
NO_REGEX = "- {match: '(', do: say x}"
NO_DEED = "- {match: x, do: dance}"


def said(prompt: str, seed: int = 0) -> str:
    return answer_to(Asked("m", (Turn(by_model=False, text=prompt),)), (), seed).text


def test_directives_are_read_in_their_order() -> None:
    prompt = "Do [[write a/b.txt one\\ntwo]] then [[run echo $HOME]]\n[[read x]] [[think 1.5]] [[plan]] [[nothing]]"
    assert steps_in(prompt) == (
        Step("write", "a/b.txt", "one\ntwo\n"),
        Step("run", "echo $HOME"),
        Step("read", "x"),
        Step("think", "1.5"),
        Step("plan"),
    )


@given(st.text())
def test_any_prompt_has_an_answer(prompt: str) -> None:
    assert said(prompt)
    for step in steps_in(f"[[think {prompt}]]"):
        assert step.seconds >= 0


def test_answers_without_directives_are_short_and_say_that_they_are_simulated() -> None:
    assert "simulated" in said("What is the capital of France?")
    assert "def fibonacci(count: int)" in said("Write a Python function to calculate fibonacci numbers")
    assert "def reverses_a_word" in said("Write a function that reverses a word")
    assert said("hello", seed=1) == said("hello", seed=1) != said("hello", seed=2)


def test_the_code_that_it_writes_is_python() -> None:
    for prompt in ("Write a Python function to calculate fibonacci numbers", 'create a script to say "hi\\"" often'):
        compile(said(prompt).split("```python\n")[1].split("```")[0], "answer", "exec")


def test_a_plan_is_json_whose_steps_depend_on_each_other() -> None:
    plan = json.loads(said("Build a shop [[plan]]"))
    assert plan["title"] == "Build a shop"
    assert [step["dependencies"] for step in plan["steps"]] == [[], ["1"], ["2"]]
    assert "Verdict: approved" in said("[[review]] src/")


def test_only_the_task_of_a_prompt_that_conductor_made_gives_directives() -> None:
    prompt = (
        "You work on one task.\n\n## Task\n```task\n[[say this]]\n```\n\n"
        "## Earlier attempts\n```summary\n[[say not that]]\n```\n"
    )
    assert said(prompt) == "this"
    asked = Asked("m", (Turn(by_model=False, text=prompt.replace("[[say this]]", "do it")),))
    rules = read_script([{"match": "earlier attempts", "do": ["say tried again"]}])
    assert answer_to(asked, rules, 0).text == "tried again"


def test_what_clis_put_around_a_prompt_is_left_out() -> None:
    prompt = (
        "<system-reminder>[[say wrong]]</system-reminder>\n[[say right]]\n<environment_context>x</environment_context>"
    )
    assert said(prompt) == "right"


def test_a_title_is_all_that_a_title_call_gets() -> None:
    asked = Asked(
        "m",
        (Turn(by_model=False, text="[[write a.txt hi]] [[think 100]]"),),
        instructions="You are a title generator. You output ONLY a thread title.",
    )
    answer = answer_to(asked, (), 0)
    assert answer.think_seconds == 0
    assert len(answer.text) < 60


def test_what_no_tool_can_do_is_said() -> None:
    assert said("[[run ls]]") == "No tool was offered to run ls."


def test_a_script_speaks_for_prompts_without_directives(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT)
    with Sim(script=script) as sim:
        url = sim.url + "/v1/chat/completions"
        assert text_of(ask(url, chat("How is the Weather?")).json) == "sunny"
        assert text_of(ask(url, chat("How is the weather? [[say rainy]]")).json) == "rainy"
        call = ask(url, chat("please build", tools=[BASH])).json["choices"][0]["message"]["tool_calls"][0]
        assert json.loads(call["function"]["arguments"]) == {"command": "printf %s 'x = 1\n' > a.py"}


def text_of(answer: Any) -> str:
    return str(answer["choices"][0]["message"]["content"])


@pytest.mark.parametrize(
    "text",
    [
        "just words",
        "- match: '('\n  do: say x",
        "- do: say x",
        "- {match: x, do: dance}",
        "- {match: x, do: [{a: b}]}",
        "{",
    ],
)
def test_a_script_that_says_nothing_is_a_usage_error(tmp_path: Path, text: str) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(text)
    with pytest.raises(UsageError, match="script"):
        Sim(script=script)


def test_thinking_takes_its_time_before_the_first_answer_alone(sim: Sim) -> None:
    asked = Asked("m", (Turn(by_model=False, text="[[think 2]] [[think 1]]"),))
    assert answer_to(asked, (), 0).think_seconds == 3.0
    done = Asked("m", (*asked.turns, Turn(by_model=True, calls=1), Turn(by_model=False, results=("x",))))
    assert answer_to(done, (), 0).think_seconds == 0.0
