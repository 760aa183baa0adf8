"""A picture of a crash day as plain SVG: price, liquidations a minute, and the fund."""

from __future__ import annotations

from collections.abc import Callable

from simulation.crash_day import CrashDay

WIDTH, HEIGHT, LEFT, RIGHT = 960, 420, 70, 70
PRICE_TOP, PRICE_BOTTOM = 40, 250
BARS_TOP, BARS_BOTTOM = 275, 385


def svg(day: CrashDay, title: str) -> str:
    """Return the picture: the mark and the fund above, notional liquidated below."""
    minutes = sorted(day.minutes)
    first, last = minutes[0], max(minutes[-1], minutes[0] + 1)

    def x_of(minute: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (minute - first) / (last - first)

    marks = [(minute, day.minutes[minute].mark) for minute in minutes if day.minutes[minute].mark]
    funds = [(minute, day.minutes[minute].fund) for minute in minutes if day.minutes[minute].fund]
    bars = [(minute, day.minutes[minute].liquidated) for minute in minutes]
    most = max((value for _, value in bars), default=0.0) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="14" fill="#222222">{title}</text>',
        f'<text x="{LEFT}" y="{PRICE_BOTTOM - 4}" fill="#1f4e9c">mark, USDT</text>',
        f'<text x="{WIDTH - RIGHT}" y="{PRICE_TOP - 6}" text-anchor="end" fill="#2e8540">'
        "insurance fund, USDT</text>",
        *_line(marks, x_of, "#1f4e9c", LEFT - 6, "end"),
        *_line(funds, x_of, "#2e8540", WIDTH - RIGHT + 6, "start"),
        f'<text x="{LEFT}" y="{BARS_TOP - 6}" fill="#b3261e">liquidated a minute, '
        f"at most {most:,.0f} USDT</text>",
    ]
    for minute, value in bars:
        if value:
            height = max(0.5, (BARS_BOTTOM - BARS_TOP) * value / most)
            parts.append(
                f'<rect x="{x_of(minute):.1f}" y="{BARS_BOTTOM - height:.1f}" width="1.2" '
                f'height="{height:.1f}" fill="#b3261e"/>'
            )
    for minute in range(first, last + 1):
        if minute % 180 == 0:
            label = f"{minute // 60 % 24:02d}:00"
            parts.append(
                f'<text x="{x_of(minute):.1f}" y="{HEIGHT - 14}" text-anchor="middle" '
                f'fill="#555555">{label}</text>'
            )
    return "\n".join([*parts, "</svg>", ""])


def _line(
    points: list[tuple[int, float]],
    x_of: Callable[[int], float],
    colour: str,
    at: int,
    anchor: str,
) -> list[str]:
    """Return a line over its own scale, with its highest and lowest value beside it."""
    values = [value for _, value in points] or [0.0]
    low, high = min(values), max(max(values), min(values) + 1)
    span = PRICE_BOTTOM - PRICE_TOP
    path = " ".join(
        f"{x_of(minute):.1f},{PRICE_BOTTOM - span * (value - low) / (high - low):.1f}"
        for minute, value in points
    )
    return [
        f'<polyline fill="none" stroke="{colour}" stroke-width="1.4" points="{path}"/>',
        f'<text x="{at}" y="{PRICE_TOP + 4}" text-anchor="{anchor}" fill="{colour}">'
        f"{high:,.0f}</text>",
        f'<text x="{at}" y="{PRICE_BOTTOM}" text-anchor="{anchor}" fill="{colour}">'
        f"{low:,.0f}</text>",
    ]
