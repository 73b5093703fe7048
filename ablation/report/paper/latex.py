"""Text as LaTeX: what its markup would read otherwise is escaped, and long names can be broken."""

from __future__ import annotations

import re
import unicodedata

_ESCAPED = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_",
    "%": r"\%", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    "|": r"\textbar{}", ">": r"\textgreater{}", '"': r"\textquotedbl{}", "`": r"\`{}",
    "\N{MINUS SIGN}": "$-$", "×": r"$\times$", "±": r"$\pm$",
    "≠": r"$\neq$", "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\to$", "√": r"$\surd$", "∞": r"$\infty$",
    "▲": r"$\blacktriangle$", "▼": r"$\blacktriangledown$", "✓": r"\ding{51}", "✗": r"\ding{55}",
    "–": "--", "—": "---", "’": "'", "“": "``", "”": "''", "…": r"\dots{}", "\N{NO-BREAK SPACE}": "~",
    "\N{SOFT HYPHEN}": "",
}  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_T1_LACKS = frozenset("ĦħĸĿŀŉŦŧſ")  # of the letters up to U+017F, which the T1 fonts otherwise have
_LAST_OF_T1 = 0x17F
_LATIN_CAPITALS = frozenset("ALPHA BETA EPSILON ZETA ETA IOTA KAPPA MU NU OMICRON RHO TAU CHI".split())


def tex(text: object) -> str:
    """Return a text with everything escaped that LaTeX would read as markup.

    A letter that pdfLaTeX's usual fonts lack becomes its number, as in ``U+1F389``.
    """
    return "".join(map(_letter, " ".join(_CONTROL.sub(" ", str(text)).split())))


def breakable(text: object, longest: int = 20) -> str:
    """Return a text as `tex` does, with places where its long words may be broken, without a hyphen.

    Args:
        text: The text.
        longest: The letters that always fit a line. Words are broken behind signs like ``_`` and ``=``, and
            anywhere where these are further apart than that.
    """
    return " ".join(_breakable_word(word, longest) for word in str(text).split())


def _breakable_word(word: str, longest: int) -> str:
    if len(word) <= longest:
        return tex(word)
    run = max(1, longest // 2)
    parts = []
    for piece in re.findall(r"[^_=,/.:-]+[_=,/.:-]*|[_=,/.:-]+", word):
        cut = len(piece) > longest
        parts += [piece[k : k + run] for k in range(0, len(piece), run)] if cut else [piece]
        if len(parts) > 1 and len(parts[-1]) == 1:  # no sign is alone in a line
            parts[-2:] = ["".join(parts[-2:])]
    return r"\allowbreak{}".join(map(tex, parts))


def _letter(letter: str) -> str:
    if letter in _ESCAPED:
        return _ESCAPED[letter]
    number = ord(letter)
    if number <= _LAST_OF_T1 and letter not in _T1_LACKS:
        return letter
    return _greek(letter) or rf"\texttt{{U+{number:04X}}}"


def _greek(letter: str) -> str:
    """Return a letter of the Greek alphabet as a formula; empty for any other letter."""
    found = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)", unicodedata.name(letter, ""))
    if not found or found[2] == "OMICRON" or (found[1] == "CAPITAL" and found[2] in _LATIN_CAPITALS):
        return ""
    name = {"LAMDA": "lambda"}.get(found[2], found[2].lower())
    return rf"$\{name if found[1] == 'SMALL' else name.capitalize()}$" if name in _GREEK else ""


_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi "
    "chi psi omega".split()
)
