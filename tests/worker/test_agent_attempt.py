"""An attempt of an agent that asks a model: prompt, private state, events, limits, the task's own check."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from conductor.domain.agent_events import AgentEvent, Call, Limit
from conductor.domain.agent_setup import AgentSetup, ProviderSetup
from conductor.domain.failure import Failure
from conductor.domain.limit_rules import LimitRules
from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.task import Claim, TaskSpec, Tries
from conductor.domain.usage import Usage
from conductor.kit.signals import SignalPipe
from conductor.ports import Agent, AgentReport, Ending, EventReader, Gate, Launch, Prompt
from conductor.testing.doorkeeper import NamedDoors
from conductor.testing.gate import ToldGate
from conductor.worker.attempt import run_attempt
from conductor.worker.bench import Workbench
from conductor.worker.config import WorkerConfig
from tests.worker.forked import in_child
from tests.worker.player import ANSWERED, OwnSchema, Player

KEY = "sk-ant-really-a-secret-key-0123456789"
KEY_NAME = "ANTHROPIC_API_KEY"
PROVIDER = ProviderSetup("anthropic", "anthropic", "https://api.anthropic.com", f"env:{KEY_NAME}")
GOOD = Call("/v1/messages", 200, "opus", usage=Usage(input=100, output=10))


class Stage:
    """One attempt's folder, and runs of agents in it. What came of it besides the result is in `seen`."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.folder = folder / "tasks" / "t1" / "1"
        self.folder.mkdir(parents=True)
        self.config = WorkerConfig(home=str(folder), pool="default", kinds={}, timeout_seconds=50, grace_seconds=5)
        self.setup = AgentSetup("player", "player", provider=PROVIDER)
        self.doors = NamedDoors()
        self.calls: tuple[Call, ...] = (GOOD,)
        self.agent: type[Player] = Player
        self.seen: dict[str, object] = {}
        self.login = False
        """No key in the daemon's environment."""

    def run(self, script: str, attempt: int = 1, **fields: object) -> TaskResult | None:
        spec = TaskSpec("t1", script, **{"agent": "player", **fields})  # type: ignore[arg-type]
        claim = Claim(spec, Tries(started=attempt), "w1-2-3-0123abcd", str(self.folder.parent / str(attempt)))
        os.makedirs(claim.directory, exist_ok=True)

        def work() -> tuple[TaskResult | None, dict[str, object]]:
            signals = SignalPipe((signal.SIGUSR1, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP))
            agents: dict[str, Agent] = {}
            gates: list[ToldGate] = []
            notices: list[str] = []

            def load(name: str) -> Agent:
                return agents.setdefault(name, self.agent(replace(self.setup, name=name)))

            def open_gate(provider: ProviderSetup, key: str) -> Gate:
                assert (provider, key) == (PROVIDER, KEY)
                gates.append(ToldGate(*self.calls))
                return gates[0]

            bench = Workbench(
                self.config,
                load,
                signals,
                {"PATH": "/usr/bin:/bin"} if self.login else {"PATH": "/usr/bin:/bin", KEY_NAME: KEY},
                open_gate=open_gate,
                doorkeeper=self.doors,
                notice=lambda action, facts: notices.append(action),
            )
            result = run_attempt(claim, bench, lambda: False)
            players = [one for one in agents.values() if isinstance(one, Player)]
            prompts = [prompt for one in players for prompt in one.launches]
            seen: dict[str, object] = {"prompts": prompts, "settled": sum(one.settled for one in players)}
            seen["notices"] = notices
            seen |= {"gate": [(gate.started, gate.closed) for gate in gates], "parked": self.doors.parked}
            return result, seen

        result, self.seen = in_child(work)
        return result

    def done(self, script: str, attempt: int = 1, **fields: object) -> TaskResult:
        result = self.run(script, attempt, **fields)
        assert result is not None
        return result

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in (self.folder / "agent.jsonl").read_text().splitlines()]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_success_has_its_answer_its_usage_and_who_it_was(stage: Stage) -> None:
    result = stage.done(ANSWERED)

    assert (result.outcome, result.failure, result.preview) == (Outcome.SUCCESS, Failure.NONE, "the answer")
    assert result.facts is not None
    assert (result.facts.agent, result.facts.model, result.facts.calls) == ("player", "opus", 1)
    assert result.facts.usage == Usage(input=100, output=10)
    assert (result.facts.usd, result.facts.cost) == (None, "unknown")
    assert (stage.folder / "RESULT.txt").read_text() == "the answer\n"
    assert sorted(stage.events()) == ["call", "end", "text"]
    assert stage.seen["gate"] == [(True, True)]


def test_the_prompt_comes_by_standard_input_and_holds_the_task(stage: Stage) -> None:
    stage.done(f'cat > "$CONDUCTOR_TASK_DIR/asked"; {ANSWERED}', criteria=("it is short",))

    asked = (stage.folder / "asked").read_text()
    assert "it is short" in asked
    assert "CONDUCTOR_TASK_DIR" in asked


def test_the_agent_sees_a_gate_and_a_worthless_key_and_never_the_real_one(stage: Stage) -> None:
    result = stage.done(f"env; cat /proc/self/cmdline; echo; {ANSWERED}")

    (prompt,) = stage.seen["prompts"]  # type: ignore[misc]
    assert prompt.endpoint.key == "worthless"
    assert result.outcome is Outcome.SUCCESS
    assert KEY not in (stage.folder / "agent.log").read_text()
    assert KEY_NAME not in (stage.folder / "agent.log").read_text()


def test_without_a_key_the_agent_uses_its_own_login_and_there_is_no_gate(stage: Stage) -> None:
    stage.login = True

    result = stage.done(ANSWERED)

    (prompt,) = stage.seen["prompts"]  # type: ignore[misc]
    assert result.outcome is Outcome.SUCCESS
    assert prompt.endpoint is None
    assert stage.seen["gate"] == []


def test_its_private_folder_is_its_own_and_goes_with_it_after_it_was_settled(stage: Stage) -> None:
    result = stage.done(f'ls -ld "$STATE" | cut -c1-10; cat "$STATE/inner/note"; echo; {ANSWERED}')

    assert result.outcome is Outcome.SUCCESS
    assert "drwx------\nprivate" in (stage.folder / "agent.log").read_text()
    assert stage.seen["settled"] == 1
    assert os.listdir(stage.home / "state") == []


def test_the_private_folder_of_a_worker_that_died_goes_with_the_next_attempt(stage: Stage) -> None:
    left = stage.home / "state" / "w1-999999-1-0123abcd"
    (left / "deep").mkdir(parents=True)
    (left / "deep" / "login").write_text("token")
    stranger = stage.home / "state" / "mine"
    stranger.mkdir()

    stage.done(ANSWERED)

    assert not left.exists()
    assert stranger.exists()


def test_an_agent_that_cannot_be_settled_costs_no_result(stage: Stage) -> None:
    class Unsettled(Player):
        def settle(self, prompt: Prompt) -> None:
            raise ValueError("the login is a riddle")

    stage.agent = Unsettled

    assert stage.done(ANSWERED).outcome is Outcome.SUCCESS
    assert stage.seen["notices"] == ["settle_failed"]
    assert os.listdir(stage.home / "state") == []


def test_an_agent_may_write_files_into_its_own_folders_only(stage: Stage) -> None:
    class Writer(Player):
        def launch(self, prompt: Prompt) -> Launch:
            return Launch(("true",), files=(("../../../outside", "x"),))

    stage.agent = Writer

    result = stage.done(ANSWERED)

    assert (result.outcome, result.failure) == (Outcome.FAILED, Failure.BAD_CONFIG)
    assert "outside its own folders" in result.reason
    assert not (stage.home / "outside").exists()


# -- limits


def test_a_long_limit_stops_the_agent_parks_the_provider_and_does_not_count(stage: Stage) -> None:
    limit = Limit(time.time() + 3600, "five_hour", "come back later")
    stage.calls = (Call("/v1/messages", 429, limit=limit),)

    began = time.monotonic()
    result = stage.done("sleep 40")

    assert time.monotonic() - began < 30
    assert (result.outcome, result.failure, result.reason) == (Outcome.LIMITED, Failure.LIMIT, "come back later")
    assert stage.seen["parked"] == [("player", limit)]
    assert stage.seen["notices"] == ["limit_hit"]
    assert result.facts is not None
    assert result.facts.limited_until == limit.resets_at


def test_a_limit_that_nothing_parks_is_a_failure_that_is_tried_again(stage: Stage) -> None:
    past = Limit(time.time() - 5, said="just now")
    stage.calls = (Call("/v1/messages", 429, limit=past),)

    result = stage.done("exit 1")

    assert (result.outcome, result.failure) == (Outcome.FAILED, Failure.OVERLOAD)


def test_an_agent_that_goes_on_asking_in_vain_is_stopped_with_the_provider_s_words(stage: Stage) -> None:
    stage.calls = (Call("/v1/messages", 529, error="Overloaded"),) * 6

    result = stage.done("sleep 40")

    assert (result.outcome, result.failure, result.reason) == (Outcome.FAILED, Failure.OVERLOAD, "Overloaded")


def test_an_agent_whose_answers_break_off_again_and_again_is_stopped_and_tried_again_later(stage: Stage) -> None:
    stage.calls = (replace(GOOD, complete=False, error="the provider's answer broke off"),) * 6

    result = stage.done("sleep 50")

    assert (result.outcome, result.failure) == (Outcome.FAILED, Failure.CUT)
    assert result.reason == "the provider's answer broke off"


def test_a_budget_ends_it_and_keeps_what_it_did(stage: Stage) -> None:
    stage.calls = ()
    used = 'echo \'{"event": "usage", "usage": {"input": 110}}\''

    result = stage.done(f'echo \'{{"event": "text", "text": "half"}}\'; {used}; sleep 40', budget="100tok")

    assert (result.outcome, result.failure) == (Outcome.BUDGET, Failure.BUDGET)
    assert "110 of 100 tokens" in result.reason
    assert (stage.folder / "RESULT.txt").read_text().startswith("half")


def test_a_budget_is_the_tasks_and_not_each_attempts(stage: Stage) -> None:
    (stage.folder / "result.json").write_text('{"usage": {"input": 60}}')

    result = stage.done(f"{ANSWERED}; sleep 40", attempt=2, budget="150tok")

    assert result.outcome is Outcome.BUDGET
    assert "170 of 150 tokens, with its earlier attempts" in result.reason
    assert result.facts is not None
    assert result.facts.usage == Usage(input=100, output=10)


def test_a_cut_stream_that_the_agent_calls_a_success_is_none(stage: Stage) -> None:
    stage.calls = (replace(GOOD, complete=False),)

    result = stage.done(ANSWERED)

    assert (result.outcome, result.failure) == (Outcome.FAILED, Failure.CUT)


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("true", Failure.CUT),
        ('echo \'{"event": "end", "succeeded": true}\'', Failure.EMPTY),
        (f'echo \'{{"event": "denied", "what": "Bash(rm)"}}\'; {ANSWERED}', Failure.DENIED),
        ('echo \'{"event": "end", "succeeded": false, "reason": "Not logged in"}\'', Failure.BAD_KEY),
        (f"{ANSWERED}; exit 3", Failure.NONE),
    ],
    ids=["nothing at all", "an empty answer", "a refused tool", "not logged in", "a bad exit code"],
)
def test_exit_code_and_words_alone_are_no_success(stage: Stage, script: str, failure: Failure) -> None:
    result = stage.done(script)

    assert (result.outcome, result.failure) == (Outcome.FAILED, failure)


def test_silence_is_a_stall_only_for_an_agent_that_speaks_as_it_runs(stage: Stage) -> None:
    class Silent(Player):
        abilities = replace(Player.abilities, stream=False)

    stage.config = replace(stage.config, stall_seconds=0.5, limits=LimitRules())
    assert stage.done("sleep 40").failure is Failure.STALLED

    stage.agent = Silent
    assert stage.done(f"sleep 1; {ANSWERED}").outcome is Outcome.SUCCESS


# -- the task's own check


def test_a_check_that_passes_makes_a_success_one(stage: Stage) -> None:
    result = stage.done(f"echo good > made; {ANSWERED}", verify="grep good made")

    assert result.outcome is Outcome.SUCCESS
    assert (stage.folder / "verify.log").read_text() == "good\n"


def test_a_check_that_fails_fails_the_attempt_and_its_output_is_kept_for_the_next(stage: Stage) -> None:
    result = stage.done(ANSWERED, verify=f"echo three tests failed, {KEY}; exit 4")

    assert (result.outcome, result.failure) == (Outcome.FAILED, Failure.VERIFY)
    assert "exit 4" in result.reason
    assert result.facts is not None
    assert result.facts.verify_output == "three tests failed, [masked]\n"


def test_a_refused_tool_does_not_matter_where_the_task_has_a_check_that_passes(stage: Stage) -> None:
    script = f'echo \'{{"event": "denied", "what": "WebFetch"}}\'; {ANSWERED}'

    assert stage.done(script, verify="true").outcome is Outcome.SUCCESS


def test_no_check_is_run_after_a_failure(stage: Stage) -> None:
    stage.done("exit 1", verify="touch checked")

    assert not (stage.folder / "work" / "checked").exists()


# -- agents that are functions


class Function(Player):
    """Its description names a function of this module."""

    def launch(self, prompt: Prompt) -> Launch:
        return Launch(
            env=(("TOLD", "yes"),), call=(f"{__name__}:{prompt.spec.description}", '{"a": 1}'), structured=True
        )

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        succeeded = ending.exit_code == 0
        return AgentReport(succeeded, "" if succeeded else f"exit {ending.exit_code}", ending.told.text, "")

    def settle(self, prompt: Prompt) -> None:
        pass


def says_what_it_sees(argument: str) -> int:
    names = sorted(name for name in os.environ if name in ("TOLD", KEY_NAME))
    alone = os.getsid(0) == os.getpid() and sys.stdin.read() == ""
    print(json.dumps({"event": "text", "text": f"{argument} {names} {alone} {os.path.basename(os.getcwd())}"}))
    return 0


def raises(argument: str) -> int:
    raise RuntimeError("what a pity")


def exits(argument: str) -> int:
    sys.exit(5)


def test_an_agent_may_be_a_function_with_an_environment_and_a_session_of_its_own(stage: Stage) -> None:
    stage.agent = Function

    result = stage.done("says_what_it_sees")

    assert result.outcome is Outcome.SUCCESS
    assert (stage.folder / "RESULT.txt").read_text() == "{\"a\": 1} ['TOLD'] True work\n"


def test_what_the_function_raises_is_in_its_log_and_fails_the_task(stage: Stage) -> None:
    stage.agent = Function

    assert stage.done("raises").reason == "exit 70"
    assert "what a pity" in (stage.folder / "agent.log").read_text()
    assert stage.done("exits").reason == "exit 5"


def test_a_fallback_without_the_level_that_was_asked_of_another_runs_without_one(stage: Stage) -> None:
    class Plain(Player):
        abilities = replace(Player.abilities, thinking=("low", "high"))

    stage.agent = Plain

    moved = stage.done(ANSWERED, agent="other", fallback=("other",), thinking="max")
    (prompt,) = stage.seen["prompts"]  # type: ignore[misc]

    assert (moved.outcome, prompt.thinking) == (Outcome.SUCCESS, "")
    assert stage.done(ANSWERED, thinking="max").failure is Failure.BAD_CONFIG


def test_the_check_runs_in_the_user_s_own_environment_not_in_the_agent_s(stage: Stage) -> None:
    result = stage.done(ANSWERED, verify='test -z "$STATE"')

    assert result.outcome is Outcome.SUCCESS


def test_a_key_that_is_not_where_its_settings_say_is_no_reason_to_use_another_door(stage: Stage) -> None:
    elsewhere = replace(PROVIDER, name="ours", base_url="https://gateway.example", key="env:ANOTHER")
    stage.setup = replace(stage.setup, provider=elsewhere)

    result = stage.done(ANSWERED)

    assert (result.outcome, result.failure) == (Outcome.FAILED, Failure.BAD_CONFIG)
    assert "env:ANOTHER" in result.reason


def test_nothing_private_is_left_of_an_attempt_that_could_not_be_prepared(stage: Stage) -> None:
    class Unready(Player):
        def launch(self, prompt: Prompt) -> Launch:
            raise RuntimeError(f"no idea what to do with {KEY}")

    stage.agent = Unready
    result = stage.done(ANSWERED)
    assert result.outcome is Outcome.FAILED
    assert os.listdir(stage.home / "state") == []

    class Unread(Player):
        def reader(self) -> EventReader:
            raise RuntimeError(f"can't read {KEY}")

    stage.agent = Unread
    result = stage.done(ANSWERED)
    assert os.listdir(stage.home / "state") == []
    assert KEY not in result.reason
    assert stage.seen["gate"] == [(False, True)]


def test_a_reader_that_breaks_costs_its_events_and_not_the_agent(stage: Stage) -> None:
    class Broken(OwnSchema):
        def feed(self, chunk: bytes) -> list[AgentEvent]:
            raise OverflowError("too much")

    class Odd(Player):
        def reader(self) -> EventReader:
            return Broken()

    stage.agent = Odd
    result = stage.done(f"{ANSWERED}; touch finished")

    assert (result.outcome, result.failure) == (Outcome.FAILED, Failure.CUT)
    assert (stage.folder / "work" / "finished").exists()
    assert "error" in stage.events()
