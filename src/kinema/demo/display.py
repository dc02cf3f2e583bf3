"""How the seeding program shows what it does: a live table on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import sys
from typing import Protocol, Self, TextIO

import msgspec
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table


class Progress(Protocol):
    """Hears what happens to each title. `share` goes from 0 to 1 within a phase; `eta` is in seconds."""

    def update(self, title: str, phase: str, share: float, eta: float | None = None) -> None:
        """Take note of where a title stands."""


class _Row(msgspec.Struct):
    phase: str
    share: float
    eta: float | None


class Lines:
    """One line when a title enters a phase, and one at each further quarter of rendering and encoding."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._said: dict[str, tuple[str, int]] = {}

    def update(self, title: str, phase: str, share: float, eta: float | None = None) -> None:
        """Print a line if it says something new."""
        quarter = int(share * 4)
        if self._said.get(title) == (phase, quarter):
            return
        self._said[title] = (phase, quarter)
        left = f", {eta:.0f} s left" if eta else ""
        amount = f" {share:.0%}{left}" if 0 < share < 1 else ""
        print(f"demo: {title}: {phase}{amount}", file=self._out, flush=True)


class Board:
    """A table that stays in place on a terminal. Use it as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self._rows: dict[str, _Row] = {}
        self._live = Live(console=console or Console(stderr=True), refresh_per_second=6, get_renderable=self._table)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, title: str, phase: str, share: float, eta: float | None = None) -> None:
        """Change the title's row; the screen follows by itself."""
        self._rows[title] = _Row(phase, share, eta)

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2), show_header=False)
        for title, row in self._rows.items():
            left = f"{row.eta:.0f} s left" if row.eta else ""
            table.add_row(title, row.phase, ProgressBar(total=1.0, completed=row.share, width=28), left)
        return table
