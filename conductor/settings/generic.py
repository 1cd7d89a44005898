"""What conductor.yaml says of an agent of kind `generic`: any command line agent, in ten lines."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from conductor.domain.agent_setup import THINKING_LEVELS, Autonomy
from conductor.domain.task import ENV_NAME
from conductor.settings.values import Strict

_KNOWN = ("workspace", "model", "thinking", "prompt_file", "state", "mode")
_KNOWN_IN_ENV = ("workspace", "model", "state", "endpoint_url", "endpoint_key")


def _argument(text: str) -> str:
    return _with_known(text, _KNOWN)


def _value(text: str) -> str:
    return _with_known(text, _KNOWN_IN_ENV)


def _with_known(text: str, known: tuple[str, ...]) -> str:
    for name in re.findall(r"\{([a-z_]+)\}", text):
        if name not in known:
            raise ValueError(f"no placeholder {{{name}}} here: there is {', '.join(f'{{{one}}}' for one in known)}")
    if "\0" in text:
        raise ValueError("it holds a NUL byte")
    return text


def _variable(name: str) -> str:
    if not ENV_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a variable")
    return name


def _path(text: str) -> str:
    if text and not all(text.split(".")):
        raise ValueError("write a path as result.usage.input, with numbers for places in a list")
    return text


Argument = Annotated[str, AfterValidator(_argument)]
Path = Annotated[str, AfterValidator(_path)]


class GenericPaths(Strict):
    """Where a JSON object holds what; in a stream of them the last one that has it counts."""

    text: Path = Field("", description="the answer")
    error: Path = Field("", description="what went wrong; anything there is a failure")
    input: Path = Field("", description="tokens, total")
    output: Path = Field("", description="tokens, total")
    cached: Path = Field("", description="tokens of the input that came from a cache")
    cost: Path = Field("", description="US dollars, total")
    model: Path = Field("", description="the model that answered")
    session: Path = Field("", description="the agent's own name for the conversation")


class GenericOptions(Strict):
    """```yaml
    agents:
      aider:
        kind: generic
        argv: [aider, --yes-always, --no-check-update, --message-file, "{prompt_file}", [--model, "{model}"]]
        prompt: file
        provider: openai
        env: {OPENAI_API_BASE: "{endpoint_url}/v1", OPENAI_API_KEY: "{endpoint_key}"}
        output: text
    ```
    """

    argv: list[Argument | list[Argument]] = Field(
        description="the program and its arguments; a list within is left out whole when one of its values is not known"
    )
    prompt: Literal["stdin", "file"] = Field("stdin", description="how the prompt reaches it: never in argv")
    output: Literal["text", "json", "jsonl"] = Field("text", description="its standard output")
    paths: GenericPaths = Field(
        default_factory=lambda: GenericPaths.model_validate({}), description="where its JSON holds what: a.b.0"
    )
    input_includes_cached: bool = Field(False, description="whether its input tokens count the cached ones in")
    env: dict[Annotated[str, AfterValidator(_variable)], Annotated[str, AfterValidator(_value)]] = Field(
        default_factory=dict, description="variables for it; {endpoint_url} and {endpoint_key} lead to the models"
    )
    levels: dict[str, Argument] = Field(default_factory=dict, description="thinking level: what {thinking} is for it")
    modes: dict[Autonomy, list[Argument]] = Field(
        default_factory=dict, description="autonomy: the arguments that stand for {mode}"
    )
    forms: list[Literal["anthropic", "openai", "gemini"]] = Field(
        default_factory=list, description="protocols that it can be pointed at"
    )
    success_exit: list[Annotated[int, Field(ge=0, le=255)]] = Field(
        default_factory=lambda: [0], min_length=1, description="exit codes that mean it did its work"
    )

    @model_validator(mode="after")
    def _checked(self) -> GenericOptions:
        flat = [part for one in self.argv for part in ([one] if isinstance(one, str) else one)]
        if not self.argv or not isinstance(self.argv[0], str) or "{" in self.argv[0]:
            raise ValueError("argv begins with the program, without a placeholder")
        if self.prompt == "file" and not any("{prompt_file}" in part for part in flat):
            raise ValueError("prompt: file needs {prompt_file} in argv")
        if self.modes and "{mode}" not in self.argv:
            raise ValueError("modes need an argument {mode} in argv")
        if self.output != "text" and not self.paths.text:
            raise ValueError(f"output: {self.output} needs paths.text")
        for level in self.levels:
            if level not in THINKING_LEVELS:
                raise ValueError(f"thinking level {level!r}: there is {', '.join(THINKING_LEVELS)}")
        return self
