"""Slices of an encoded set: images that meet a condition, written as text.

A condition compares quantities with numbers, such as `wall hue >= 3 and not (loss > 90)`:

    factor        a factor by its name; quoted if the name has other characters than letters,
                  digits, spaces and . _ -, begins with a word of this list, or holds and, or, not
    latent 2      mean code of a latent
    category 2    most likely category of a latent
    loss          reconstruction loss, nats
    kl            KL of all latents, nats; `kl 2` of one
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from dvae_core.analysis.encoded import EncodedSet
from dvae_core.analysis.latent_data import categories_or_bins, information_of_points
from dvae_core.errors import ConfigError, EvaluationError, printable
from dvae_core.evaluation.information import PAPER_BINS

MAX_CHARACTERS = 1_000
MAX_DEPTH = 50
MIN_POINTS = 50
"""Points in a slice without which no information is counted, however few categories there are."""

Mask = NDArray[np.bool_]

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"]|"")*"|'(?:[^']|'')*')
    |(?P<sign><=|>=|!=|==|=|<|>|\(|\))
    |(?P<word>[^\s()<>=!"']+))""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
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
_SIGNS = "=, !=, <, <=, > or >="
_MAX_NAMES = 12


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
    `loss`, `kl` or `kl 2` with a number by =, !=, <, <=, > or >=. Conditions are joined by `and`,
    which binds closer than `or`, and `or`, reversed by `not`, and grouped by parentheses. A quote
    inside of a quoted name is doubled. Factors and categories are indices from 0; loss and KL are
    in nats. Codes, losses and KL are compared in single precision, as they are stored.

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
        if sign.kind != "sign" or sign.text not in _COMPARISONS:
            self._expected(_SIGNS)
        self._take()
        number = self._number()
        with np.errstate(over="ignore"):  # a number beyond single precision is infinite
            limit = values.dtype.type(number) if values.dtype == np.float32 else np.float64(number)
        return _COMPARISONS[sign.text](values, limit)

    def _number(self) -> float:
        token = self._token
        if token.kind != "word" or not _NUMBER.fullmatch(token.text):
            self._expected("a number")
        number = float(token.text)
        if not isfinite(number):
            self._expected("a finite number")
        self._take()
        return number

    def _quantity(self) -> NDArray:
        first = self._token
        if first.kind == "quoted":
            self._take()
            quote = first.text[0]
            return self._factor(first.text[1:-1].replace(2 * quote, quote), first.place)
        if first.kind != "word" or first.keyword in _KEYWORDS:
            self._expected("a factor, latent, category, loss or kl")
        words = []
        while self._token.kind == "word" and self._token.keyword not in _KEYWORDS:
            words.append(self._take())
        return self._named(words)

    def _named(self, words: list[_Token]) -> NDArray:
        encoded, place = self._encoded, words[0].place
        match [word.text for word in words]:
            case ["loss"]:
                return encoded.losses
            case ["kl"]:
                return encoded.kl.sum(axis=1)
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


@dataclass(frozen=True)
class SliceReport:
    """Means and information over a slice, beside those over the whole encoded set.

    Attributes:
        count: images in the slice.
        total: images in the set, n.
        loss: mean reconstruction loss in the slice, nats.
        total_loss: the same over the set, nats.
        kl: mean KL of each latent in the slice, nats, (N,).
        total_kl: the same over the set, nats, (N,).
        factor_names: (F,).
        information: mutual information of latents and factors in the slice, nats, (N, F); nan where
            `undefined` says why.
        total_information: the same over the set, nats, (N, F).
        undefined: for each factor why there is no information in the slice, or "", (F,).
        total_undefined: the same of the set, (F,).
    """

    count: int
    total: int
    loss: float
    total_loss: float
    kl: NDArray[np.float64]
    total_kl: NDArray[np.float64]
    factor_names: tuple[str, ...]
    information: NDArray[np.float64]
    total_information: NDArray[np.float64]
    undefined: tuple[str, ...]
    total_undefined: tuple[str, ...]


def slice_report(encoded: EncodedSet, mask: Mask) -> SliceReport:
    """Means and information over a slice, beside those over the whole set.

    Information is between the most likely categories, or mean codes in 20 equal-width bins over the
    whole set, and each factor, with the correction "miller_madow" of `mutual_information_matrix`.
    It needs as many points as the latent with the most categories has (20 for bins), and 50.

    Args:
        encoded: codes of n images.
        mask: the slice, (n,).

    Raises:
        EvaluationError: the mask is malformed, or the slice is empty.
    """
    if mask.shape != (len(encoded),) or mask.dtype != np.bool_:
        raise EvaluationError(
            f"the mask is {mask.dtype} {mask.shape}, but must be bool ({len(encoded)},)"
        )
    if not mask.any():
        raise EvaluationError(
            f"none of the {len(encoded):,} images is in the slice: choose a wider condition"
        )
    least = max(MIN_POINTS, *(encoded.category_counts or (PAPER_BINS,)))
    names = encoded.factor_names
    parts = []
    for part in (mask, np.ones_like(mask)):
        if names and len(encoded) >= least:
            cells = categories_or_bins(encoded)[part]
        else:  # binning itself needs points
            cells = np.zeros((np.count_nonzero(part), encoded.num_latents), np.int64)
        parts.append(information_of_points(cells, encoded.factors[part], least))
    (information, undefined), (total_information, total_undefined) = parts
    return SliceReport(
        count=int(np.count_nonzero(mask)),
        total=len(encoded),
        loss=float(encoded.losses[mask].mean(dtype=np.float64)),
        total_loss=float(encoded.losses.mean(dtype=np.float64)),
        kl=encoded.kl[mask].mean(axis=0, dtype=np.float64),
        total_kl=encoded.mean_kl,
        factor_names=names,
        information=information,
        total_information=total_information,
        undefined=undefined,
        total_undefined=total_undefined,
    )


def worst_reconstructions(
    encoded: EncodedSet, count: int, mask: Mask | None = None
) -> NDArray[np.int64]:
    """Rows of the images with the greatest reconstruction loss, the worst first, int64 (B,). Of
    equal losses the lower row comes first.

    Args:
        encoded: codes of n images.
        count: number of images; all if there are fewer.
        mask: the slice to choose from, (n,); None for all.

    Raises:
        EvaluationError: the count is below 1.
    """
    if count < 1:
        raise EvaluationError(f"count is {count}, but must be at least 1")
    order = np.argsort(-encoded.losses, kind="stable")
    return order[:count] if mask is None else order[mask[order]][:count]
