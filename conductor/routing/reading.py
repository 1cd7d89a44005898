"""Reads a registry file: our own form in YAML, or claw-conductor's `agent-registry.json`. Every fault in one go."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from conductor.domain.errors import SettingsInvalid
from conductor.domain.plan import CATEGORIES, DEFAULT_COMPLEXITY
from conductor.routing.registry import Capability, Cost, CostType, Model, Registry, Rules

MOST_BYTES = 4 * 1_048_576
Form = TypeVar("Form", bound=BaseModel)


def _category(name: str) -> str:
    if name not in CATEGORIES:
        near = difflib.get_close_matches(name, CATEGORIES, n=1, cutoff=0.5)
        raise ValueError(f"no category {name[:60]!r}" + (f", did you mean {near[0]}?" if near else ""))
    return name


def _model_name(name: str) -> str:
    if name.startswith("-") or any(letter.isspace() or not letter.isprintable() for letter in name):
        raise ValueError("a model's name holds no white space and does not begin with a dash")
    return name


Category = Annotated[str, AfterValidator(_category)]
Stars = Annotated[float, Field(strict=True, ge=1, le=5)]
Level = Annotated[int, Field(strict=True, ge=1, le=5)]
Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]
Dollars = Annotated[float, Field(strict=True, ge=0, le=1e6, allow_inf_nan=False)]
AgentName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ModelName = Annotated[str, Field(max_length=200), AfterValidator(_model_name)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CostForm(_Strict):
    type: CostType = CostType.PAY_PER_USE
    input: Dollars | None = Field(None, description="US dollars for a million tokens")
    output: Dollars | None = None

    def value(self) -> Cost:
        return Cost(self.type, self.input, self.output)


class CapabilityForm(_Strict):
    rating: Stars
    max_complexity: Level
    experience: Count = 0
    notes: str = ""

    def value(self) -> Capability:
        return Capability(self.rating, self.max_complexity, self.experience, self.notes)


class ModelForm(_Strict):
    agent: AgentName
    model: ModelName = ""
    enabled: bool = True
    cost: CostForm = CostForm()
    otherwise: CapabilityForm | None = Field(None, description="for the categories that are not named")
    capabilities: dict[Category, CapabilityForm] = Field({}, description="by category")

    def value(self) -> Model:
        capabilities = {name: one.value() for name, one in self.capabilities.items()}
        otherwise = self.otherwise.value() if self.otherwise else None
        return Model(self.agent, self.model, self.cost.value(), capabilities, otherwise, self.enabled)


class RegistryForm(_Strict):
    version: Literal[1] = 1
    default_complexity: Level = DEFAULT_COMPLEXITY
    failure_penalty: Annotated[float, Field(ge=0, le=100)] = 5.0
    prefer_free: bool = True
    fallback: bool = True
    models: list[ModelForm] = Field(min_length=1)

    def value(self, source: str) -> Registry:
        rules = Rules(self.failure_penalty, self.prefer_free, self.fallback)
        return Registry(tuple(one.value() for one in self.models), self.default_complexity, rules, source)


def read_registry(path: str, agents: Sequence[str] = (), serving: Mapping[str, str] | None = None) -> Registry:
    """The registry in `path`. `agents` that can be used here and those `serving` a provider, by the provider's name,
    decide who runs a model of claw-conductor's form. Raises SettingsInvalid with every fault."""
    document = read_document(path)
    if is_claw(document):
        from conductor.routing.claw import from_claw

        registry = from_claw(document, path, agents, serving or {})
    else:
        registry = checked(RegistryForm, document, path).value(path)
    refuse(path, _twins(registry))
    return registry


def is_claw(document: Mapping[str, Any]) -> bool:
    return "agents" in document and "models" not in document


def read_document(path: str) -> dict[str, Any]:
    """The mapping in a YAML or JSON file. Raises SettingsInvalid."""
    import yaml

    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise SettingsInvalid(f"registry {path} is larger than {MOST_BYTES >> 20} MiB: that is none")
        text = content.decode("utf-8")
        found = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"can't read the registry {path} (routing.registry): {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsInvalid(f"registry {path} is neither YAML nor JSON: {error}") from error
    if not isinstance(found, dict):
        raise SettingsInvalid(f"registry {path} must hold `models:`, or `agents` as agent-registry.json does")
    return found


def checked(form: type[Form], document: Mapping[str, Any], path: str) -> Form:
    """Raises SettingsInvalid with every fault."""
    try:
        return form.model_validate(document)
    except RecursionError:
        raise SettingsInvalid(f"registry {path} holds a value that is a part of itself") from None
    except ValidationError as error:
        faults = [_fault(dict(fault), document) for fault in error.errors()]
    refuse(path, faults)
    raise AssertionError(faults)


def refuse(path: str, faults: Sequence[str]) -> None:
    """Raises SettingsInvalid where there are any."""
    if faults:
        told = "\n".join(f"  {fault}" for fault in faults)
        raise SettingsInvalid(f"registry {path} has {len(faults)} fault{'s' * (len(faults) > 1)}:\n{told}")


def _twins(registry: Registry) -> list[str]:
    names = [model.name for model in registry.models]
    return [f"{name} stands there {names.count(name)} times" for name in dict.fromkeys(names) if names.count(name) > 1]


_WORDS = sorted(
    {*RegistryForm.model_fields, *ModelForm.model_fields, *CostForm.model_fields, *CapabilityForm.model_fields}
)


def _fault(fault: dict[str, Any], document: Mapping[str, Any]) -> str:
    path = [str(part) for part in fault["loc"] if part != "[key]"]
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], _WORDS, n=1)
        said = "unknown" + (f", did you mean {near[0]}?" if near else "")
    else:
        said = str(fault["msg"]).removeprefix("Value error, ")
        said += "" if fault["type"] in ("value_error", "missing") else f", not {_short(fault['input'])}"
    return f"{'.'.join(path)}{_whose(path, document)}: {said}"


def _short(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _whose(path: Sequence[str], document: Mapping[str, Any]) -> str:
    """` (claude:opus)` behind `models.3...`: people don't count."""
    models = document.get("models")
    if len(path) < 2 or path[0] != "models" or not path[1].isdigit() or not isinstance(models, list):
        return ""
    one = models[int(path[1])]
    named = isinstance(one, dict) and ":".join(str(one[key])[:60] for key in ("agent", "model") if one.get(key))
    return f" ({named})" if named else ""
