"""The router: what the registry, the agents here and the results so far say of each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from conductor.domain.plan import CATEGORIES, Step
from conductor.domain.usage import Price, Usage
from conductor.ports.orchestration import Candidate, Choice, PassedOver
from conductor.routing.classifying import category_of
from conductor.routing.learning import Memory, Record, Records, from_document, result, to_document, total, with_result
from conductor.routing.ranking import Need, Scene, Standing, fitting_level, obstacle, rank
from conductor.routing.registry import Cost, CostType, Model, Registry
from conductor.routing.scoring import Known

FRESH_SECONDS = 1.0
"""How long what was seen of agents, limits and results holds."""

USUAL_TOKENS = {1: 60_000, 2: 150_000, 3: 400_000, 4: 900_000, 5: 2_000_000}
"""Of one task by its complexity, while nothing is learned: a guess of ours."""
_TRUSTED_TASKS = 3
_CACHED_SHARE, _OUTPUT_SHARE = 0.85, 0.03
"""Of an agent's tokens: every turn sends the whole conversation again."""
_CATEGORIES = frozenset(CATEGORIES)


@dataclass(frozen=True)
class World:
    """What the router needs of the world. Nothing here may start a process: `choose` is asked for each step."""

    clock: Callable[[], float]
    """Seconds since 1970."""
    standing: Callable[[str], Standing | None]
    """Of an agent by its name; None: there is none."""
    same_model: Callable[[str, str, str], bool] = lambda agent, asked, known: asked == known
    """(agent, asked, known): whether both names mean the same model to that agent."""
    price: Callable[[str, str], Price | None] = lambda agent, model: None
    """(agent, model)."""
    memory: Memory = field(default_factory=Memory)
    default_agent: str = ""
    """Takes a step that asks for a model of which the registry says nothing, unless it would run its text as it is."""


class RegistryRouter:
    """Implements the port `Router`. `choose` and `learn` raise what the memory raises."""

    def __init__(self, registry: Registry, world: World) -> None:
        self.registry = registry
        self._world = world
        self._models = {model.name: model for model in registry.models}
        self._looked = float("-inf")
        self._records: Records = {}
        self._standings: dict[str, Standing | None] = {}
        self._chosen: dict[tuple[str, Need], Choice] = {}

    # -- the port

    def choose(self, step: Step) -> Choice:
        self._look()
        key = (step.agent, self._need_of_named(step) if step.agent else self.need(step))
        if key not in self._chosen:
            self._chosen[key] = self._named(*key) if step.agent else self._ranked(key[1])
        return self._chosen[key]

    def learn(self, step: Step, candidate: Candidate, *, succeeded: bool, seconds: float, tokens: int) -> None:
        """What others have learned meanwhile is read first. Two that learn in the same few milliseconds may lose one of
        the two results: a point of experience, or one failure's penalty."""
        now, standing = self._world.clock(), self._standing(candidate.agent)
        if standing is not None and not standing.prompted:
            return  # it is never chosen by what it did before
        one = result(succeeded=succeeded, seconds=seconds, tokens=tokens, at=now)
        name = Model(candidate.agent, candidate.model).name
        known = from_document(self._world.memory.load())
        self._records = with_result(known, name, self.need(step).category, one)
        self._world.memory.save(to_document(self._records))
        self._chosen.clear()

    # -- for people

    def need(self, step: Step) -> Need:
        """What the step asks for, with what it does not say itself filled in."""
        known = step.category in _CATEGORIES
        category = step.category if known else category_of(step.title, step.description, step.type)
        return Need(category, self._complexity(step), step.model, step.thinking)

    def learned(self, name: str, category: str = "") -> Record:
        """Of `agent:model`, in all or in one category."""
        self._look()
        found = self._records.get(name, {})
        return found.get(category, Record()) if category else total(found.values())

    def records(self) -> Records:
        self._look()
        return self._records

    # -- inside

    def _need_of_named(self, step: Step) -> Need:
        """Its category changes nothing but the expected cost: it is not looked for in the words."""
        return (
            self.need(step)
            if step.category in _CATEGORIES
            else Need("", self._complexity(step), step.model, step.thinking)
        )

    def _complexity(self, step: Step) -> int:
        return step.complexity if 1 <= step.complexity <= 5 else self.registry.default_complexity

    def _look(self) -> None:
        now = self._world.clock()
        if 0 <= now - self._looked < FRESH_SECONDS:
            return
        self._records = from_document(self._world.memory.load())
        self._standings.clear()
        self._chosen.clear()
        self._looked = now

    def _ranked(self, need: Need) -> Choice:
        choice = rank(need, self.registry, self._scene())
        if choice.candidates or not need.model or self._knows(need.model):
            return choice
        agent = self._world.default_agent
        if not agent or obstacle(agent, self._standing(agent)):
            return choice
        return replace(self._named(agent, need), passed_over=choice.passed_over)

    def _knows(self, model: str) -> bool:
        return any(self._world.same_model(one.agent, model, one.model) for one in self.registry.models)

    def _scene(self) -> Scene:
        return Scene(self._looked, self._standing, self._known, self._usd, self._world.same_model)

    def _named(self, agent: str, need: Need) -> Choice:
        """Whoever names an agent knows better than we do whether it is logged in, and wants it to wait for a limit."""
        standing = self._standing(agent)
        why = f"there is no agent {agent} here" if standing is None else standing.fault
        if standing is None or why:
            return Choice((), (PassedOver(agent, need.model, why),))
        model = self._models.get(Model(agent, need.model).name, Model(agent, need.model))
        usd = self._usd(model, need) if standing.prompted else 0.0
        thinking = fitting_level(need.thinking, standing.thinking) if standing.prompted else ""
        return Choice((Candidate(agent, need.model, thinking, usd_expected=usd),))

    def _standing(self, agent: str) -> Standing | None:
        if agent not in self._standings:
            self._standings[agent] = self._world.standing(agent)
        return self._standings[agent]

    def _known(self, model: Model, category: str) -> Known:
        before = model.capability(category)
        record = self._records.get(model.name, {}).get(category, Record())
        done = record.succeeded + (before.experience if before else 0)
        return Known(done, record.recent_failures(self._looked))

    def _usd(self, model: Model, need: Need) -> float | None:
        record = self._records.get(model.name, {}).get(need.category, Record())
        tokens = record.tokens // record.tasks if record.tasks >= _TRUSTED_TASKS else USUAL_TOKENS[need.complexity]
        return expected_usd(model.cost, self._world.price(model.agent, model.model), tokens)


def expected_usd(cost: Cost, listed: Price | None, tokens: int) -> float | None:
    """What so many tokens of one task cost, as agents use them; nothing where use is not what is paid for; None: nobody
    knows. The registry's own prices win."""
    if cost.type is not CostType.PAY_PER_USE:
        return 0.0
    price = listed
    if cost.input is not None and cost.output is not None:
        cached = listed.cached if listed is not None and listed.input == cost.input else None
        price = Price(cost.input, cost.output, cached)
    if price is None:
        return None
    cached_tokens, output = int(tokens * _CACHED_SHARE), int(tokens * _OUTPUT_SHARE)
    used = Usage(input=tokens - cached_tokens - output, cached=cached_tokens, output=output)
    return round(price.cost(used), 4)
