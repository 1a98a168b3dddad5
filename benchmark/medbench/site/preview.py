"""The picture that stands beside a link to the site elsewhere: 1200 x 630 pixels, drawn when the site is made."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

SIZE = (1200, 630)
_PAPER, _INK, _SOFT, _MARK = "#ffffff", "#1b1f24", "#555d68", "#0b5cad"


def preview(headline: str, lines: Sequence[str]) -> bytes:
    """Draw the picture as PNG.

    Args:
        headline: A question or a name; broken over lines.
        lines: Sentences of ours below it, at most four.
    """
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", SIZE, _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 24, SIZE[1]), fill=_MARK)
    draw.text((80, 60), "medbench", font=ImageFont.load_default(40), fill=_SOFT)
    large, small = ImageFont.load_default(68), ImageFont.load_default(36)
    top = 150
    for text in _broken(headline, lambda part: draw.textlength(part, font=large))[:3]:
        draw.text((80, top), text, font=large, fill=_INK)
        top += 84
    top += 24
    for sentence in lines[:4]:
        for text in _broken(sentence, lambda part: draw.textlength(part, font=small)):
            draw.text((80, top), text, font=small, fill=_SOFT)
            top += 50
    out = io.BytesIO()
    picture.quantize(16).save(out, format="PNG", optimize=True)
    return out.getvalue()


def _broken(text: str, width_of: Callable[[str], float]) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer) > SIZE[0] - 160:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
