"""Which tasks may start now, and what was used: parked providers, running agents, memory, budgets, prices."""
