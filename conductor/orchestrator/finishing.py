"""The last phase of a run: its summary commit, the review, landing on the target, what is to be pushed.

Each part can be done again, so that a restart goes through all of them from the start.
"""

from __future__ import annotations

from contextlib import suppress

from conductor.domain.errors import RepositoryBroken, SettingsInvalid
from conductor.domain.run import DelegationState, Run, RunStatus
from conductor.domain.view import Ended
from conductor.kit.durable import replace_file
from conductor.orchestrator.board import Board
from conductor.orchestrator.merge_queue import MergeItem, MergeQueue, Passed, Verdict
from conductor.orchestrator.review import MOST_DIFF, read_review, review_report
from conductor.orchestrator.rules import Rules, Tools
from conductor.orchestrator.side_tasks import SideTask
from conductor.ports.orchestration import Merged, Publication, Repository

REVIEW = "-review"


class Finishing:
    """`tick` goes on as far as it can."""

    def __init__(self, tools: Tools, rules: Rules, board: Board, queue: MergeQueue) -> None:
        self._tools = tools
        self._rules = rules
        self._board = board
        self._queue = queue
        self._review = SideTask(tools, board, REVIEW)
        self._is_whole = False
        self._is_reviewed = not rules.reviewer
        self._landing = False
        self._has_landed = False
        self._refused = ""
        self._landed_commit = ""
        self._publishing = False
        self._is_published = False

    def resume(self) -> None:
        self._review.resume()

    def tick(self) -> None:
        repository = self._tools.repository
        if repository is None:
            self._end(RunStatus.COMPLETED)
            return
        try:
            if self._lacks_steps(repository):
                return
            if not self._is_reviewed and self._waits_for_review():
                return
            if not self._has_landed and not self._land():
                return
            if not self._publish():
                return
            repository.close_run(self._board.run, keep_branch=bool(self._refused) or self._rules.pull_request)
        except RepositoryBroken as error:
            self._refused = str(error)
        self._end(RunStatus.NEEDS_REVIEW if self._refused else RunStatus.COMPLETED, self._refused)

    def _lacks_steps(self, repository: Repository) -> bool:
        """Whether somebody took merged steps out of the branch behind our back: then the run ends here, told."""
        if self._is_whole:
            return False
        run, merged = self._board.run, repository.merged_steps(self._board.run)
        lost = [
            f"{one.step.id} ({one.commit[:12]})"
            for one in self._board.merged()
            if one.commit and one.step.id not in merged
        ]
        self._is_whole = not lost
        if lost:
            told = ", ".join(lost[:10])
            self._end(
                RunStatus.NEEDS_REVIEW,
                f"branch {run.branch} lacks what was merged into it: {told}: somebody set it back; "
                f"`git cherry-pick` of these commits brings them in again",
            )
        return bool(lost)

    # -- review

    def _waits_for_review(self) -> bool:
        rounds = self._review.rounds()
        if not rounds:
            run, repository = self._board.run, self._tools.repository
            assert repository is not None  # only runs with git are reviewed
            changed = repository.difference(run, MOST_DIFF)
            try:
                prompt = self._tools.texts.review(run, self._board.merged(), changed)
            except SettingsInvalid as error:  # what is merged is not held up by a template
                self._board.note("review_failed", reason=str(error)[:500])
                self._is_reviewed = True
                return False
            self._review.ask(self._rules.reviewer, prompt)
            return True
        self._is_reviewed = self._review.under_way() is None
        return not self._is_reviewed

    def task_ended(self, view: Ended) -> None:
        """What the reviewer finds is a report: it changes nothing that is merged."""
        delegation, answer = self._review.answered(view)
        if not answer:
            self._board.note("review_failed", reason=delegation.reason[:500])
            self._review.over(delegation, DelegationState.FAILED, delegation.reason)
            return
        report = f"{self._tools.folder}/context/{self._board.run.id}.review.md"
        review = read_review(answer)
        replace_file(report, review_report(review, self._board.run).encode("utf-8", "replace"))
        self._board.note("run_reviewed", verdict=review.verdict.value, findings=len(review.findings), report=report)
        self._board.set_run(report=report)
        self._review.over(delegation, DelegationState.COMPLETED)

    # -- landing

    def _land(self) -> bool:
        """Whether that is over, well or not."""
        repository, run = self._tools.repository, self._board.run
        assert repository is not None  # a run without git has nowhere to land
        if self._landing:
            return False
        repository.seal(run, self._tools.texts.ending(run, self._board.merged()))
        if self._rules.pull_request:
            self._has_landed = True
            return True
        self._landing = True
        self._queue.add(
            MergeItem(
                f"{run.id}.-land",
                lambda: self._board.run,
                lambda: repository.land(self._board.run),
                self._advance,
                self._landed,
            )
        )
        return False

    def _advance(self, merged: Merged) -> bool:
        assert self._tools.repository is not None  # only runs with git land
        landed = self._tools.repository.finish_landing(self._board.run, merged)
        if landed.is_overtaken:  # somebody was faster: onto what is there now, checked again
            return False
        self._refused = "" if landed.commit else landed.reason
        self._landed_commit = landed.commit
        self._board.note("run_landed" if landed.commit else "landing_refused", reason=landed.reason or landed.checkout)
        return True

    def _landed(self, verdict: Verdict) -> None:
        run = self._board.run
        self._has_landed = True
        if not isinstance(verdict, Passed):
            self._refused = f"its branch {run.branch} could not be brought onto {run.target}: {verdict.why}"
        elif not (self._refused or self._landed_commit):  # nothing was to be moved: it had landed before a restart
            self._advance(Merged(verdict.commit, verdict.commit, is_empty=True))

    # -- pushing

    def _publish(self) -> bool:
        """Whether nothing is left to push. What fails is told; what is merged stays merged."""
        if self._is_published or self._refused or not (self._rules.push or self._rules.pull_request):
            return True
        if not self._publishing:
            if self._tools.publisher.is_busy():  # with another run of the project
                return False
            self._publishing = True
            self._tools.publisher.start(self._publication(), f"{self._tools.folder}/publish/{self._board.run.id}")
        published = self._tools.publisher.take()
        if published is None:
            return False
        self._is_published = True
        if published.pushed:
            self._board.note("run_pushed", pull_request=published.pull_request)
            self._board.set_run(pull_request=published.pull_request)
        if published.reason:
            where = f"on branch {self._board.run.branch}" if self._rules.pull_request else "merged"
            self._refused = f"everything is {where}, but not published: {published.reason}"
        return True

    def stop(self) -> None:
        """The run is ended: nothing more of it is pushed."""
        if self._publishing and not self._is_published:
            self._tools.publisher.stop()
            self._is_published = True

    def _publication(self) -> Publication:
        repository, run = self._tools.repository, self._board.run
        assert repository is not None  # only runs with git are published
        title, body = self._tools.texts.pull_request(run, self._board.merged())
        if self._rules.pull_request:
            tip = repository.tip(run)
            return Publication(run.workspace, self._rules.remote, tip, run.branch, run.target, title, body)
        return Publication(run.workspace, self._rules.remote, self._landed_commit, run.target)

    def _end(self, status: RunStatus, reason: str = "") -> None:
        end_run(self._tools, self._board, status, reason)


def end_run(tools: Tools, board: Board, status: RunStatus, reason: str = "") -> Run:
    if tools.repository is not None and status is not RunStatus.COMPLETED:
        with suppress(RepositoryBroken):  # it may be why the run ends
            tools.repository.prepare(board.run, 0)
    board.note("run_ended", status=status.value, reason=reason[:500])
    tools.write_back(board.run, list(board.states.values()))
    board.set_run(status=status, reason=reason, ended=tools.clock())
    return board.run
