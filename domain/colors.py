"""Colors that people can read, whatever color a shop has.

Source: WCAG 2.2, "Contrast (Minimum)" and its definition of relative luminance.
"""

INK = "#1a1f36"
WHITE = "#ffffff"
_ENOUGH = 4.5
_LINEAR_UP_TO = 0.04045


def on(background: str) -> str:
    """The color of text on a background: white, or dark where white could not be read."""
    return WHITE if contrast(WHITE, background) >= _ENOUGH else INK


def on_white(color: str) -> str:
    """The color itself where it can be read on white, else a dark one."""
    return color if contrast(color, WHITE) >= _ENOUGH else INK


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colors as `#1a1f36`: from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    red, green, blue = (_linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= _LINEAR_UP_TO else ((channel + 0.055) / 1.055) ** 2.4
