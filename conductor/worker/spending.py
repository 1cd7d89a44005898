"""What an attempt costs while it runs: charged as it comes, held against its budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conductor.domain.budget import WARNING_SHARE, Budget
from conductor.domain.tally import Tally
from conductor.domain.usage import Price, Usage
from conductor.ports import Charge, Ledger
from conductor.worker.earlier import NOTHING, Used

_CHARGE_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Account:
    """Whom an attempt's use is charged to."""

    project: str
    agent: str
    model: str
    """As it was asked for; the one that is told to be used counts where there is one."""


def cost_of(tally: Tally, model: str, price_of_model: Callable[[str], Price | None]) -> tuple[float | None, str]:
    """(US dollars, source): reported by the agent, else computed from its usage, else unknown."""
    if tally.usd is not None:
        return tally.usd, "reported"
    price = price_of_model(tally.model or model)
    if price is not None and tally.usage is not None:
        return price.cost(tally.usage), "computed"
    return None, "unknown"


class Meter:
    """Compares what was used with the budget of the task, and charges what is new to project and day."""

    def __init__(
        self,
        account: Account,
        budget: Budget,
        ledger: Ledger | None,
        price_of_model: Callable[[str], Price | None],
        earlier: Used = NOTHING,
    ) -> None:
        """`earlier`: what other attempts of the task used of the same budget; it is charged already."""
        self._account = account
        self._budget = budget
        self._ledger = ledger
        self._price_of_model = price_of_model
        self._earlier = earlier
        self._charged = Usage()
        self._charged_usd: float | None = None
        self._runs = 1
        self._settled = False
        self._model = ""
        """The first that is told: agents and providers have several names for one."""
        self._unpriced = 0
        """Tokens charged without a cost."""
        self._next_charge = 0.0
        self.warning = ""
        """The latest: 80 % of a budget are used, of the task or of its project or day."""
        self._is_warned = False
        self.spent = ""
        """Which budget is used up."""

    def begin(self, now: float) -> None:
        """Charges the run before it used anything, so that those which start together are counted."""
        self._next_charge = now + _CHARGE_EVERY_SECONDS
        self._charge(Tally(), Usage(), None)

    def update(self, tally: Tally, now: float) -> None:
        """Looks at what was told; `now` in monotonic seconds."""
        usd, _ = cost_of(tally, self._account.model, self._price_of_model)
        usage = tally.usage or Usage()
        if self.spent:
            return
        used = self._earlier + Used(usage, usd)
        if used == NOTHING:
            return
        share, told = self._budget.share(used.usd, used.usage.total)
        told += ", with its earlier attempts" if self._earlier != NOTHING else ""
        if share >= 1.0:
            self.spent = f"its budget is used up: {told}"
        elif share >= WARNING_SHARE and not self._is_warned:
            self._is_warned, self.warning = True, told
        is_new = usage != self._charged or (usd is not None and usd != self._charged_usd)
        if now >= self._next_charge and is_new:
            self._next_charge = now + _CHARGE_EVERY_SECONDS
            self.spent = self.spent or self._charge(tally, usage, usd)

    def settle(self, tally: Tally) -> None:
        """The last charge; a run that told nothing is charged as one whose cost is unknown."""
        usd, _ = cost_of(tally, self._account.model, self._price_of_model)
        usage = tally.usage or Usage()
        if not self._settled:
            self._settled = True
            self._charge(tally, usage, usd, unpriced=int(usd is None))

    def _charge(self, tally: Tally, usage: Usage, usd: float | None, unpriced: int = 0) -> str:
        if self._ledger is None:
            return ""
        delta = None if usd is None else max(0.0, usd - (self._charged_usd or 0.0))
        account, fresh = self._account, usage - self._charged
        self._model = self._model or tally.model
        charge = Charge(
            project=account.project,
            agent=account.agent,
            model=self._model or account.model,
            usage=fresh,
            usd=delta,
            runs=self._runs,
            unpriced_runs=unpriced,
            priced_tokens=0 if usd is None else self._unpriced,
        )
        self._unpriced = self._unpriced + fresh.total if usd is None else 0
        self._charged, self._runs = usage, 0
        self._charged_usd = self._charged_usd if usd is None else usd
        spent = self._ledger.charge(charge)
        self.warning = self._ledger.warning() or self.warning
        return spent
