"""QR codes for a terminal."""

from renewer.core.errors import Refused

_BLACK_ON_WHITE, _PLAIN = "\x1b[38;5;16;48;5;231m", "\x1b[0m"


def qr(text: str) -> str:
    """Return the text as a QR code of half blocks, black on white whatever the terminal's colours are.

    Raises `Refused` if the text is too long for a QR code.
    """
    import segno  # noqa: PLC0415 - only one command needs it

    try:
        code = segno.make_qr(text, error="l")
    except segno.DataOverflowError:
        raise Refused("the link is too long for a QR code", hint="run the command without --qr") from None
    rows = [list(row) for row in code.matrix_iter(border=2)]
    rows += [[0] * len(rows[0])] * (len(rows) % 2)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join(_BLACK_ON_WHITE + "".join(map(_half, *pair)) + _PLAIN for pair in pairs)


def _half(upper: int, lower: int) -> str:
    return {(0, 0): " ", (1, 0): "\u2580", (0, 1): "\u2584", (1, 1): "\u2588"}[bool(upper), bool(lower)]
