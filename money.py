"""What the networks charge: summed per account, source, UTC day and operation, in millionths of a US dollar."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import Spending

MICRO = 1_000_000


def spend(
    db: Session, account_id: int, source_id: int | None, *, operation: str, units: int, micro_usd: int, at: datetime
) -> None:
    """Add to what the account has cost on this day (UTC, as networks count). ``source_id`` None: a reply."""
    day = at.astimezone(UTC).date().isoformat()
    same = (
        Spending.account_id == account_id,
        Spending.source_id.is_(None) if source_id is None else Spending.source_id == source_id,
        Spending.day == day,
        Spending.operation == operation,
    )
    row = db.scalar(select(Spending).where(*same).with_for_update())
    if row is None:
        row = Spending(account_id=account_id, source_id=source_id, day=day, operation=operation, units=0, micro_usd=0)
        db.add(row)
    row.units += units
    row.micro_usd += micro_usd


def spent(db: Session, account_id: int, at: datetime) -> int:
    """What the account has cost this month (UTC)."""
    first = at.astimezone(UTC).strftime("%Y-%m-01")
    total = select(func.coalesce(func.sum(Spending.micro_usd), 0))
    return int(db.scalar(total.where(Spending.account_id == account_id, Spending.day >= first)) or 0)


@dataclass(frozen=True)
class Cost:
    """In US dollars, by UTC month."""

    this_month: float = 0.0
    last_month: float = 0.0


def monthly(db: Session, at: datetime) -> tuple[dict[int, Cost], dict[int, Cost]]:
    """What each account and each source has cost, by their ids; one query over the days of two months."""
    first = at.astimezone(UTC).replace(day=1)
    before = (first - timedelta(days=1)).strftime("%Y-%m-01")
    month_of = func.substr(Spending.day, 1, 7).label("month")
    rows = db.execute(
        select(Spending.account_id, Spending.source_id, month_of, func.sum(Spending.micro_usd))
        .where(Spending.day >= before)
        .group_by(Spending.account_id, Spending.source_id, "month")
    )
    accounts: dict[int, Cost] = defaultdict(Cost)
    sources: dict[int, Cost] = defaultdict(Cost)
    for account_id, source_id, month, micro in rows:
        field = "this_month" if month == first.strftime("%Y-%m") else "last_month"
        for costs, id in ((accounts, account_id), (sources, source_id)):
            if id is not None:
                costs[id] = replace(costs[id], **{field: getattr(costs[id], field) + int(micro) / MICRO})
    return dict(accounts), dict(sources)
