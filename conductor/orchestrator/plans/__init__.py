"""Plans as people, models and other programs write them, read into `conductor.domain.plan`, checked whole."""

from conductor.orchestrator.plans.mermaid import mermaid
from conductor.orchestrator.plans.reading import Reading, parse_plan, read_plan
from conductor.orchestrator.plans.wfformat import Replay
from conductor.orchestrator.plans.writing import plan_document, write_plan

__all__ = ["Reading", "Replay", "mermaid", "parse_plan", "plan_document", "read_plan", "write_plan"]
