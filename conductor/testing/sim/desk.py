"""Decides how a request is answered; the server only plays it out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, takewhile
from threading import Lock

from conductor.domain.errors import UsageError
from conductor.domain.usage import Usage
from conductor.testing.sim import anthropic_form
from conductor.testing.sim.asked import Asked, Json, Reply, identity
from conductor.testing.sim.directives import Rule
from conductor.testing.sim.faults import WELL, Fault, FaultCounter, read_fault
from conductor.testing.sim.meter import Meter, tokens_of
from conductor.testing.sim.record import Record, Recorder
from conductor.testing.sim.refusals import Circumstances, Refusal, bad_request, broken_off, refuse, refuse_path, warning
from conductor.testing.sim.routes import FORMS, Route, counted, models, route
from conductor.testing.sim.samples import is_side_call
from conductor.testing.sim.script import answer_to
from conductor.testing.sim.telling import Event

NOT_SENT = 0
_ABOUT = {"conductor": "a simulated model API: nothing here is a real model", "usage": "conductor sim --help"}


@dataclass(frozen=True, slots=True)
class Request:
    """`path` without, `query` with what stands behind the `?`; names of headers in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Json

    @property
    def text(self) -> str:
        return json.dumps(self.body, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Reaction:
    """What is sent: a body, or events. `fault` says what becomes of it on the way; `think_seconds` pass first."""

    status: int
    body: object = None
    events: Iterator[Event] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    fault: Fault = WELL
    think_seconds: float = 0.0
    model: str = ""
    usage: Usage = Usage()


class Desk:
    """`clock` gives seconds since 1970. Safe for threads."""

    def __init__(self, seed: int, rules: Sequence[Rule], recorder: Recorder, clock: Callable[[], float]) -> None:
        self._seed = seed
        self._rules = rules
        self._recorder = recorder
        self._clock = clock
        self._meter = Meter()
        self._counter = FaultCounter()
        self._lock = Lock()
        self._repeats: dict[str, int] = {}
        self.standing_fault = "ok"
        """Of every request whose path names none."""

    def react(self, request: Request) -> Reaction:
        """The answer to `request`, recorded before it is sent."""
        place = route(request.method, request.path, request.headers)
        name = place.fault or self.standing_fault
        reaction = self._reaction(request, place, name)
        status = NOT_SENT if reaction.fault.kind == "hang" else reaction.status
        record = Record(
            at=self._clock(),
            form=place.form,
            path=place.path,
            fault=name,
            status=status,
            model=reaction.model,
            headers=request.headers,
            body=request.body,
            usage=reaction.usage,
        )
        self._recorder.add(record)
        return reaction

    def _reaction(self, request: Request, place: Route, name: str) -> Reaction:
        try:
            fault = read_fault(name)
        except UsageError as error:
            return Reaction(404, {"error": {"type": "not_found_error", "message": str(error)}})
        if place.deed != "answer":
            return self._beside_the_model(request, place, fault)
        try:
            return self._model_call(request, place, name, fault)
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # a field of another type than meant
            why = f"the request is not of the protocol's form: {error!r}"
            return _refused(bad_request(place.form, why, f"req_{self._seal(place.path)}"))

    def _beside_the_model(self, request: Request, place: Route, fault: Fault) -> Reaction:
        """Lists of models, counting, and whatever else is asked for."""
        if fault.refuses_everything:
            about = Circumstances("", f"req_{self._seal(place.path)}", self._clock())
            return _refused(refuse(place.form, fault, about))
        match place.deed:
            case "count":
                return Reaction(200, counted(place.form, tokens_of(request.text)))
            case "models":
                return Reaction(200, models(place.form))
        if request.headers.get("upgrade"):
            return Reaction(426, {"error": {"message": "no WebSocket here: plain HTTP", "type": "upgrade_required"}})
        if place.path in ("/", "/healthz"):
            return Reaction(200, _ABOUT)
        return _refused(refuse_path(place.form, place.path))

    def _model_call(self, request: Request, place: Route, name: str, fault: Fault) -> Reaction:
        asked = FORMS[place.form].read(request.body, place.path)
        if fault.first is not None and (_for_itself(asked) or not self._counter.bites(name, fault)):
            fault = WELL
        about = Circumstances(asked.model, f"req_{self._seal(request.text)}", self._clock(), tokens_of(request.text))
        if "nosuch" in asked.model and fault.status is None:
            fault = Fault("nomodel")
        if fault.status is not None:
            return _refused(refuse(place.form, fault, about), asked.model, fault)
        if mistake := anthropic_form.mistake_in(request.body) if place.form == "anthropic" else "":
            return _refused(bad_request(place.form, mistake, about.request_id), asked.model)
        return self._answered(request, asked, fault, about, place)

    def _answered(self, request: Request, asked: Asked, fault: Fault, about: Circumstances, place: Route) -> Reaction:
        form = FORMS[place.form]
        answer = answer_to(asked, self._rules, self._seed)
        blocks = anthropic_form.blocks(request.body) if place.form == "anthropic" else ()
        usage = self._meter.usage(about.tokens, blocks, answer)
        reply = Reply(about.request_id.removeprefix("req_"), int(about.now), asked, answer, usage)
        if fault.kind == "streamerror" and not asked.streamed:
            return _refused(refuse(place.form, Fault("529"), about), asked.model)
        headers = {"request-id": about.request_id, "x-request-id": about.request_id}
        told = Reaction(
            status=200,
            headers={**headers, **warning(place.form, fault, about.now)},
            fault=fault,
            think_seconds=answer.think_seconds,
            model=asked.model,
            usage=usage,
        )
        if not asked.streamed:
            return replace(told, body=form.whole(reply))
        if place.form == "gemini" and "alt=sse" not in request.query:
            return replace(told, body=[event.body for event in form.events(reply)])
        events = form.events(reply)
        if fault.kind == "streamerror":
            events = chain(takewhile(lambda event: not event.is_answer, events), [broken_off(place.form, about)])
        return replace(told, events=events)

    def _seal(self, text: str) -> str:
        """An id that is the same for the same seed and request; the same request once more gets another."""
        with self._lock:
            once = identity(self._seed, text)
            self._repeats[once] = self._repeats.get(once, 0) + 1
            return identity(self._seed, text, str(self._repeats[once]))


def _refused(refusal: Refusal, model: str = "", fault: Fault = WELL) -> Reaction:
    return Reaction(refusal.status, refusal.body, headers=refusal.headers, fault=fault, model=model)


def _for_itself(asked: Asked) -> bool:
    """A CLI's own side call never uses up a fault that was meant for the task."""
    return not asked.tools and is_side_call(asked.instructions, asked.prompt)
