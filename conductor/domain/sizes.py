"""Sizes as people read them."""

from __future__ import annotations


def format_bytes(count: int) -> str:
    """`count` in at most four characters and a unit: `512 B`, `1.5 KiB`, `480 MiB`, `1.2 TiB`."""
    size, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while abs(size) >= 1023.5 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.1f} {units[0]}" if units[0] != "B" and abs(size) < 9.95 else f"{size:.0f} {units[0]}"
