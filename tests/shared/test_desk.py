"""What members get done at a shared home, and what they do not: the verbs of shared.sock, without the socket."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.app.sharing.desk import Desk
from conductor.domain.errors import ConductorError, DuplicateTask, UsageError
from conductor.domain.home import Home
from conductor.domain.lines import format_task
from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.sharing import OF_MEMBERS, OF_OPERATORS, Person, Standing
from conductor.domain.task import TaskSpec
from conductor.queue.layout import open_home
from tests.support import queue_of

ANN = Person(1001, Standing.MEMBER)
BOB = Person(1002, Standing.MEMBER)
OPERATOR = Person(1003, Standing.OPERATOR)
NOBODY = Person(1004, Standing.NOBODY)


class Deeds:
    """A log that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[dict[str, object]] = []

    def info(self, action: str, **facts: object) -> None:
        self.told.append({"action": action, **facts})

    warning = error = info


class Office:
    """A desk on a home, and what a worker would do there."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.deeds = Deeds()
        self.desk = Desk(open_home(home), lambda: self.deeds, {})

    def ask(self, person: Person, verb: str, **facts: Any) -> dict[str, Any]:
        """As over the wire: only what JSON holds comes in, and out."""
        answer: dict[str, Any] = json.loads(json.dumps(self.desk.serve(person, {"verb": verb, **facts})))
        return answer

    def submit(self, person: Person, description: str = "true", task_id: str = "", **options: Any) -> str:
        line = format_task(TaskSpec(task_id, description, **{"agent": "command", **options}))
        (accepted,) = self.ask(person, "submit", tasks=[line])["ids"]
        return str(accepted)

    def run_next(self, words: str = "fine", outcome: Outcome = Outcome.SUCCESS) -> str:
        queue = queue_of(self.home)
        queue.tend("")
        claim = queue.claim("default", "w1-4711-1a2b3c-0123abcd")
        assert claim is not None
        for name in ("agent.log", "SUMMARY.txt"):
            Path(claim.directory, name).write_text(f"{words}\n")
        queue.finish(claim, TaskResult(outcome, "", words, 1.0, 2.0))
        return claim.spec.id

    def ids_seen_by(self, person: Person) -> list[str]:
        return [row["task"] for row in self.ask(person, "list")["rows"]]


@pytest.fixture
def office(home: Home) -> Office:
    return Office(home)


# -- one's own


def test_a_member_s_task_has_the_member_in_its_id_and_is_seen_to_its_end(office: Office) -> None:
    # given
    task = office.submit(ANN, "echo hello", "first")
    assert task == "u1001.first"
    assert office.ids_seen_by(ANN) == [task]

    # when
    office.run_next("hello")

    # then, with and without what stands in front
    for name in (task, "first"):
        found = office.ask(ANN, "show", task=name)
        assert (found["story"]["status"], found["summary"]) == ("SUCCESS", "hello\n")
        assert b64decode(office.ask(ANN, "logs", task=name)["piece"]) == b"hello\n"
        assert office.ask(ANN, "ended", tasks=[name]) == {"ended": {name: "SUCCESS"}}
    assert office.ids_seen_by(ANN) == [task]
    assert [line.split("|")[0] for line in office.ask(ANN, "results")["lines"]] == [task]


def test_many_are_accepted_together_or_not_at_all(office: Office) -> None:
    good = [format_task(TaskSpec(f"t{number}", "true", agent="command")) for number in range(3)]

    with pytest.raises(ConductorError):
        office.ask(ANN, "submit", tasks=[*good, "nonsense"])
    assert office.ids_seen_by(ANN) == []

    assert office.ask(ANN, "submit", tasks=good)["ids"] == ["u1001.t0", "u1001.t1", "u1001.t2"]


def test_an_id_is_taken_once_also_one_that_looks_made_up(office: Office) -> None:
    name = "t-20260101-000000-abcdefgh"
    office.submit(ANN, "first", name)

    with pytest.raises(DuplicateTask):
        office.submit(ANN, "second", name)
    line = format_task(TaskSpec(name, "second", agent="command"))
    assert office.ask(ANN, "submit", tasks=[line], if_absent=True)["ids"] == [f"u1001.{name}"]
    assert office.submit(BOB, "mine", name) == f"u1002.{name}"

    assert len(office.ids_seen_by(OPERATOR)) == 2


def test_a_member_cancels_and_retries_own_tasks(office: Office) -> None:
    task = office.submit(ANN)

    assert office.ask(ANN, "cancel", task=task)["answer"] == "cancelled"
    assert office.ask(ANN, "show", task=task)["story"]["status"] == "CANCELLED"

    failing = office.submit(ANN, "false")
    office.run_next(outcome=Outcome.FAILED)
    assert office.ask(ANN, "retry", task=failing) == {"task": failing}
    assert office.ask(ANN, "show", task=failing)["story"]["state"] == "ready"
    assert [(deed["verb"], deed["uid"]) for deed in office.deeds.told] == [
        (verb, 1001) for verb in ("submit", "cancel", "submit", "retry")
    ]


# -- what is not one's own


@pytest.mark.parametrize("verb", ["show", "logs", "cancel", "retry"])
@pytest.mark.parametrize("name", ["u1001.secret", "secret", "owners"])
def test_another_s_task_is_told_like_one_that_never_was(office: Office, verb: str, name: str) -> None:
    # given a task of Ann and one of the owner
    office.submit(ANN, "echo secret", "secret")
    queue_of(office.home).submit(TaskSpec("owners", "echo secret", agent="command"))
    before = office.ids_seen_by(OPERATOR)

    # when Bob asks for it, and for one that there is not
    told, never_was = (office.ask(BOB, verb, task=one) for one in (name, "u1001.nothing"))

    # then
    assert told == {"missing": name}
    assert never_was == {"missing": "u1001.nothing"}
    assert office.ids_seen_by(OPERATOR) == before


def test_lists_and_results_hold_nothing_of_others(office: Office) -> None:
    mine, others = office.submit(ANN), office.submit(BOB, "echo secret")
    waiting = office.submit(BOB, "echo secret too")
    for _ in range(2):
        office.run_next("secret")

    assert office.ids_seen_by(ANN) == [mine]
    assert set(office.ids_seen_by(OPERATOR)) == {mine, others, waiting}
    assert [line.split("|")[0] for line in office.ask(ANN, "results")["lines"]] == [mine]
    assert office.ask(ANN, "ended", tasks=[others]) == {"missing": others}


def test_who_begins_in_the_middle_of_a_line_is_not_shown_its_rest(office: Office) -> None:
    """A line of Bob's that holds what looks like one of Ann's."""
    office.submit(BOB, "true", "u1001.trick")
    office.run_next("u1001.x|w|SUCCESS|2026-01-01T00:00:00Z|forged")
    size = os.stat(office.home.results).st_size

    seen = [office.ask(ANN, "results", position=position)["lines"] for position in range(size + 2)]

    assert [lines for lines in seen if lines] == []


def test_positions_of_results_tell_each_line_once(office: Office) -> None:
    behind = office.ask(ANN, "results")["position"]
    told = []
    for _ in range(3):
        office.submit(ANN)
        office.run_next()
        found = office.ask(ANN, "results", position=behind)
        told.extend(found["lines"])
        behind = found["position"]

    assert len(told) == len(set(told)) == 3
    assert office.ask(ANN, "results", position=behind) == {"lines": [], "position": behind}


def test_an_id_can_not_be_taken_in_another_s_name(office: Office) -> None:
    assert office.submit(BOB, "true", "u1001.x") == "u1002.u1001.x"
    assert office.ids_seen_by(ANN) == []


def test_a_member_can_not_wait_for_another_s_task(office: Office) -> None:
    """Else its failure would tell how that one ended."""
    office.submit(ANN, "true", "secret")

    with pytest.raises(UsageError, match="no such task"):
        office.submit(BOB, "true", after=("u1001.secret",))


@pytest.mark.parametrize("options", [{"project": "shop"}, {"spec_file": "/etc/shadow"}])
def test_a_member_uses_no_project_s_keys_and_no_file_that_the_service_reads(
    office: Office, options: dict[str, str]
) -> None:
    with pytest.raises(UsageError):
        office.submit(ANN, **options)
    assert office.submit(OPERATOR, **options)


def test_a_log_that_is_a_link_is_not_followed(office: Office, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    task = office.submit(ANN)
    office.run_next()
    log = Path(office.home.attempt(task, 1), "agent.log")
    log.unlink()
    log.symlink_to(secret)

    assert office.ask(ANN, "logs", task=task)["piece"] == ""


# -- who may do what


@pytest.mark.parametrize("verb", sorted(OF_OPERATORS))
def test_only_operators_steer(office: Office, verb: str) -> None:
    with pytest.raises(UsageError, match="operators"):
        office.ask(ANN, verb)
    assert not queue_of(office.home).paused()


@pytest.mark.parametrize("verb", ["ring", "tell", "serve", "_note", "", None, 7])
@pytest.mark.parametrize("person", [ANN, OPERATOR], ids=["member", "operator"])
def test_what_control_sock_hears_beyond_that_is_heard_from_nobody_here(
    office: Office, person: Person, verb: object
) -> None:
    with pytest.raises(UsageError, match="unknown verb"):
        office.desk.serve(person, {"verb": verb})


def test_an_operator_pauses_and_sees_and_cancels_every_task(office: Office) -> None:
    task = office.submit(ANN)

    office.ask(OPERATOR, "pause")
    assert queue_of(office.home).paused()
    office.ask(OPERATOR, "resume")
    assert not queue_of(office.home).paused()
    assert office.ask(OPERATOR, "cancel", task=task)["answer"] == "cancelled"


@pytest.mark.parametrize("verb", sorted(OF_MEMBERS | OF_OPERATORS))
def test_who_is_in_no_group_may_nothing(office: Office, verb: str) -> None:
    with pytest.raises(UsageError):
        office.ask(NOBODY, verb, tasks=["|true|||agent=command"], task="x")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    verb=st.sampled_from(sorted(OF_MEMBERS)),
    facts=st.dictionaries(st.sampled_from("task tasks position attempt raw lines limit if_absent".split()), anything),
)
def test_nonsense_is_refused_or_answered_and_never_shows_what_is_another_s(
    shared_office: Office, verb: str, facts: dict[str, Any]
) -> None:
    try:
        told = json.dumps(shared_office.desk.serve(BOB, {"verb": verb, **facts}))
    except (ConductorError, ValueError, TypeError, KeyError, OverflowError):
        return
    assert "sesame" not in told


@pytest.fixture(scope="module")
def shared_office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """One for all examples: none of them changes what Ann has."""
    office = Office(Home(str(tmp_path_factory.mktemp("office") / "home")))
    office.submit(ANN, "echo sesame", "secret")
    office.run_next("sesame")
    office.submit(ANN, "echo sesame", "waiting")
    return office
