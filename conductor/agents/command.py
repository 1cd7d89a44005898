"""The agent `command`: the description is a `/bin/sh` command line. Exit code 0 is success, its output the answer."""

from __future__ import annotations

from conductor.agents.judgement import how_ended, last_line
from conductor.agents.shape import PlainAgent
from conductor.ports import Abilities, AgentReport, Ending, Launch, Prompt

LONGEST_ARGUMENT = 100_000
"""The kernel takes 131,072 bytes in one argument; a longer command line goes into a file."""


class CommandAgent(PlainAgent):
    """Makes conductor a plain, durable job queue."""

    abilities = Abilities(stream=True, prompted=False)

    def launch(self, prompt: Prompt) -> Launch:
        description = prompt.spec.description
        if len(description.encode()) <= LONGEST_ARGUMENT:
            return Launch(("/bin/sh", "-c", description))
        return Launch(
            ("/bin/sh", f"{prompt.attempt_directory}/command.sh"), files=(("command.sh", description + "\n"),)
        )

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        said = last_line(ending.tail)
        if ending.exit_code == 0:
            return AgentReport(True, "", ending.tail, said)
        how = how_ended(ending)
        return AgentReport(False, how, ending.tail, f"{how}: {said}" if said else how)
