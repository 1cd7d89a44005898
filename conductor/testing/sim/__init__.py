"""A model API on loopback that follows scripts and fails on demand: for tests, demos and work without a key.

    with Sim(seed=1) as sim:
        client = Anthropic(base_url=sim.faulty("429n1r1"), api_key="any")
        ...
        assert [record.status for record in sim.requests] == [429, 200]

What it does is said by the prompt, or for prompts that say nothing by a script:

    [[say WORDS]]            ends with these words
    [[write PATH CONTENT]]   calls the tool that writes files, else the shell, else apply_patch (`\\n`: a new line)
    [[run COMMAND]]          calls the shell
    [[read PATH]]            calls the tool that reads files, else the shell
    [[think SECONDS]]        is silent for that long first
    [[plan]] [[review]]      ends with a plan as JSON, with a review
    [[plan FAULT N MODEL]]   a plan that is wrong the first N times that MODEL is asked: see planning.py
    [[together]]             calls all tools in one turn instead of one a turn

Asked by conductor to plan, it answers with a plan, whose steps it can do; a calculator is built whole.

Faults are named in front of the path (`/fault/NAME/v1/...`): see faults.py.
"""

from conductor.testing.sim.record import Record
from conductor.testing.sim.sim import Sim

__all__ = ["Record", "Sim"]
