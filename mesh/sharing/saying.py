"""What is worth telling of one sync after another."""

from __future__ import annotations

import re
from typing import Any

Row = dict[str, Any]

_NEWS = ("pushed", "new", "changed", "gone", "conflicts", "left_out")


class Said:
    """What was told of one namespace already: a trouble is told once, and once that it is over."""

    def __init__(self) -> None:
        self._troubles: set[str] = set()  # since the last sync that was none
        self._kept_back: set[tuple[str, str]] = set()

    def news(self, row: Row) -> Row | None:
        """What of a sync's row is to be told, with `again` for the first one after a trouble; None: nothing."""
        if "error" in row:
            cause = re.sub(r"\d+", "0", f"{row['error']} {row['message']}")  # a port, or seconds, are no other cause
            known, self._troubles = cause in self._troubles, self._troubles | {cause}
            return None if known else row
        again, self._troubles = bool(self._troubles), set()
        back = [one for one in row["kept_back"] if (one["path"], one["cause"]) not in self._kept_back]
        self._kept_back = {(one["path"], one["cause"]) for one in row["kept_back"]}
        is_news = again or back or any(row[key] for key in _NEWS)
        return row | {"kept_back": back, "again": again} if is_news else None
