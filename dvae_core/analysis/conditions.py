"""Conditions on the images of an encoded set, written as text.

A condition compares quantities with numbers, such as `wall hue >= 3 and not (loss > 90)`:

    factor        a factor by its name; quoted if the name has other characters than letters,
                  digits, spaces and . _ -, begins with a word of this list, or holds and, or, not
    latent 2      mean code of a latent
    category 2    most likely category of a latent
    loss          reconstruction loss, nats
    kl            KL of all latents, nats; `kl 2` of one

The number may be a percentile of the quantity over the set: `loss >= 95%` is the worst 5 %. A
range includes both ends: `category 2 in 10..20`.
"""

import re
from collections.abc import Callable, Sequence
from math import isfinite
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from dvae_core.analysis.encoded import EncodedSet
from dvae_core.analysis.latent_data import LatentData
from dvae_core.errors import ConfigError, printable

MAX_CHARACTERS = 1_000
MAX_DEPTH = 50

Mask = NDArray[np.bool_]

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"]|"")*"|'(?:[^']|'')*')
    |(?P<sign><=|>=|!=|==|=|<|>|\(|\))
    |(?P<word>[^\s()<>=!"']+))""",
    re.VERBOSE,
)
_DIGITS = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?%?"
_NUMBER = re.compile(_DIGITS)
_RANGE = re.compile(rf"({_DIGITS})\.\.({_DIGITS})")
_INDEX = re.compile(r"[0-9]{1,9}")
_KEYWORDS = ("and", "or", "not")
_COMPARISONS: dict[str, Callable[[NDArray, np.generic], Mask]] = {
    "=": np.equal,
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_SIGNS = "=, !=, <, <=, >, >= or in"
_MAX_NAMES = 12


class Comparison(NamedTuple):
    """One comparison of a condition, as it is written.

    Attributes:
        quantity: such as `loss`, `kl 2`, `category 2` or `"wall hue"`.
        sign: =, !=, <, <=, > or >=, or "in".
        value: a number, a percentile such as `95%`, or a range such as `10..20`.
    """

    quantity: str
    sign: str
    value: str

    def to_text(self) -> str:
        """The condition."""
        return f"{self.quantity} {self.sign} {self.value}"


class _Token(NamedTuple):
    kind: str  # quoted, sign, word or end
    text: str
    place: int  # of its first character, from 1

    @property
    def keyword(self) -> str:
        return self.text.lower() if self.kind == "word" else ""


def slice_of(encoded: EncodedSet, text: str) -> Mask:
    """Which images meet a condition, (n,).

    A condition compares a factor (by its name, quoted where needed), `latent 2`, `category 2`,
    `loss`, `kl` or `kl 2` with a number by =, !=, <, <=, > or >=, or with a range by `in`, such as
    `in 10..20` with both ends. A number followed by %, such as `95%`, is that percentile of the
    quantity over the whole set. Conditions are joined by `and`, which binds closer than `or`, and
    `or`, reversed by `not`, and grouped by parentheses. A quote inside of a quoted name is doubled.
    Factors and categories are indices from 0; loss and KL are in nats. Codes, losses and KL are
    compared in single precision, as they are stored.

    Args:
        encoded: codes of n images.
        text: the condition, at most 1,000 characters and 50 levels deep. Nothing in it is executed.

    Raises:
        ConfigError: the text is no condition, or names something that does not exist; it says at
            which character, and what was expected.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(
            f"the condition has {len(text):,} characters, but at most {MAX_CHARACTERS:,} are read"
        )
    return _Parser(encoded, text).parsed()


def quantity_of(encoded: EncodedSet, text: str) -> NDArray:
    """The values of a quantity as `slice_of` reads it, such as `loss` or `category 2`, (n,).

    Args:
        encoded: codes of n images.
        text: the quantity.

    Raises:
        ConfigError: there is no such quantity.
    """
    return _Parser(encoded, text).parsed_quantity()


def split_condition(text: str) -> list[str]:
    """The parts of a condition that `and` joins; the whole where `or` joins any of them.

    Raises:
        ConfigError: the text cannot be split into words and signs.
    """
    joints = _joints(text)
    if any(token.keyword == "or" for token in joints):
        return [text.strip()]
    cuts = [token.place - 1 for token in joints]
    starts = [0, *(cut + len("and") for cut in cuts)]
    parts = [text[a:b].strip() for a, b in zip(starts, [*cuts, len(text)], strict=True)]
    return [part for part in parts if part]


def join_conditions(parts: Sequence[str]) -> str:
    """The condition that all parts hold."""
    if len(parts) == 1:
        return parts[0]
    return " and ".join(
        f"({part})" if any(token.keyword == "or" for token in _joints(part)) else part
        for part in parts
    )


def comparison_of(text: str) -> Comparison | None:
    """The comparison that a condition consists of; None if it is another condition, or none."""
    try:
        *quantity, sign, value, _ = _tokens(text)
    except (ConfigError, ValueError):
        return None
    is_range = sign.keyword == "in" and _RANGE.fullmatch(value.text)
    is_number = sign.text in _COMPARISONS and _NUMBER.fullmatch(value.text)
    is_name = len(quantity) == 1 or all(token.kind == "word" for token in quantity)
    if not quantity or not is_name or not (is_range or is_number) or "sign" in quantity[0].kind:
        return None
    if any(token.keyword in _KEYWORDS for token in quantity):
        return None
    return Comparison(" ".join(token.text for token in quantity), sign.text.lower(), value.text)


def factor_in_condition(name: str) -> str:
    """A factor's name as a condition has it: quoted."""
    return '"' + name.replace('"', '""') + '"'


def category_condition(data: LatentData, category: int) -> str:
    """The condition that the images of a category of a latent meet, or of a bin."""
    latent = data.latent
    if data.edges is None:
        return f"category {latent} = {category}"
    low, high = (f"{edge:.9g}" for edge in data.edges[category : category + 2])
    # The outer bins end with the data.
    parts = [f"latent {latent} >= {low}"] * (category > 0)
    parts += [f"latent {latent} < {high}"] * (category < len(data.edges) - 2)
    return " and ".join(parts)


def _joints(text: str) -> list[_Token]:
    """The words `and` and `or` of a condition that are outside parentheses."""
    depth, found = 0, []
    for token in _tokens(text):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.keyword in ("and", "or"):
            found.append(token)
    return found


class _Parser:
    """Recursive descent: or, and, not, comparison."""

    def __init__(self, encoded: EncodedSet, text: str) -> None:
        self._encoded = encoded
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    def parsed(self) -> Mask:
        mask = self._disjunction()
        if self._token.kind != "end":
            self._expected("'and', 'or' or the end")
        return mask

    def parsed_quantity(self) -> NDArray:
        values = self._quantity()
        if self._token.kind != "end":
            self._expected("the end")
        return values

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _expected(self, what: str) -> NoReturn:
        found = "the end" if self._token.kind == "end" else repr(printable(self._token.text))
        raise _mistake(self._token.place, f"expected {what}, found {found}")

    def _disjunction(self) -> Mask:
        mask = self._conjunction()
        while self._token.keyword == "or":
            self._take()
            mask = mask | self._conjunction()
        return mask

    def _conjunction(self) -> Mask:
        mask = self._negation()
        while self._token.keyword == "and":
            self._take()
            mask = mask & self._negation()
        return mask

    def _negation(self) -> Mask:
        opening = self._token
        if opening.keyword != "not" and opening.text != "(":
            return self._comparison()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _mistake(opening.place, f"more than {MAX_DEPTH} levels of 'not' and parentheses")
        self._take()
        if opening.keyword == "not":
            mask = ~self._negation()
        else:
            mask = self._disjunction()
            if self._token.text != ")":
                self._expected(f"')' for the '(' at character {opening.place}")
            self._take()
        self._depth -= 1
        return mask

    def _comparison(self) -> Mask:
        values = self._quantity()
        sign = self._token
        if self._is_range():
            self._take()
            low, high = _RANGE.fullmatch(self._token.text).groups()  # type: ignore[union-attr]
            limits = [self._limit(values, end) for end in (low, high)]
            self._take()
            return (values >= limits[0]) & (values <= limits[1])
        if sign.kind != "sign" or sign.text not in _COMPARISONS:
            self._expected(_SIGNS)
        self._take()
        if self._token.kind != "word" or not _NUMBER.fullmatch(self._token.text):
            self._expected("a number")
        limit = self._limit(values, self._token.text)
        self._take()
        return _COMPARISONS[sign.text](values, limit)

    def _is_range(self) -> bool:
        """Whether `in` and a range come next; a factor's name may hold the word too."""
        if self._token.keyword != "in":
            return False
        following = self._tokens[self._next + 1]
        return following.kind == "word" and _RANGE.fullmatch(following.text) is not None

    def _limit(self, values: NDArray, text: str) -> np.generic:
        """A number as the quantity has it, (n,); with %, a percentile of the quantity."""
        number = float(text.removesuffix("%"))
        if not isfinite(number):
            self._expected("a finite number")
        if text.endswith("%"):
            if not 0 <= number <= 100:
                self._expected("a percentile from 0% to 100%")
            number = float(np.percentile(values, number))
        with np.errstate(over="ignore"):  # a number beyond single precision is infinite
            return values.dtype.type(number) if values.dtype == np.float32 else np.float64(number)

    def _quantity(self) -> NDArray:
        first = self._token
        if first.kind == "quoted":
            self._take()
            quote = first.text[0]
            return self._factor(first.text[1:-1].replace(2 * quote, quote), first.place)
        if first.kind != "word" or first.keyword in _KEYWORDS:
            self._expected("a factor, latent, category, loss or kl")
        words: list[_Token] = []
        while self._token.kind == "word" and self._token.keyword not in _KEYWORDS:
            if words and self._is_range():
                break
            words.append(self._take())
        return self._named(words)

    def _named(self, words: list[_Token]) -> NDArray:
        encoded, place = self._encoded, words[0].place
        match [word.text for word in words]:
            case ["loss"]:
                return encoded.losses
            case ["kl"]:
                return encoded.total_kl
            case ["kl", index]:
                return encoded.kl[:, self._latent(index, words[1].place)]
            case ["latent", index]:
                return encoded.codes[:, self._latent(index, words[1].place)]
            case ["category", index]:
                latent = self._latent(index, words[1].place)
                if encoded.categories is None:
                    raise _mistake(place, "the latents have no categories: use 'latent'")
                return encoded.categories[:, latent]
            case ["latent" | "category"]:
                self._expected("the number of a latent")
        return self._factor(" ".join(word.text for word in words), place)

    def _latent(self, index: str, place: int) -> int:
        most = self._encoded.num_latents - 1
        if not _INDEX.fullmatch(index) or int(index) > most:
            raise _mistake(place, f"expected a latent from 0 to {most}, found {printable(index)!r}")
        return int(index)

    def _factor(self, name: str, place: int) -> NDArray:
        names = self._encoded.factor_names
        if name in names:
            return self._encoded.factors[:, names.index(name)]
        shown = [repr(printable(known)) for known in names[:_MAX_NAMES]]
        shown += ["..."] * (len(names) > _MAX_NAMES)
        factors = f"the factors are {', '.join(shown)}" if names else "there are no factors"
        raise _mistake(
            place,
            f"no factor is called {printable(name)!r}: {factors}; else use latent, category, loss "
            f"or kl",
        )


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    end = len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None:
            start = end - len(text[position:end].lstrip())
            character = text[start]
            what = "has no closing quote" if character in "\"'" else f"is not one of {_SIGNS}"
            raise _mistake(start + 1, f"{printable(character)!r} {what}")
        kind = found.lastgroup or ""
        tokens.append(_Token(kind, found[kind], found.start(kind) + 1))
        position = found.end()
    return [*tokens, _Token("end", "", end + 1)]


def _mistake(place: int, what: str) -> ConfigError:
    return ConfigError(f"in the condition, at character {place}: {what}")
