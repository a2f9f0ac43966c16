"""Texts as sets of shingles, which are runs of n words or characters, in numpy.

A shingle is a number of 52 bits, a hash of its words: two texts of 400 shingles have two different
ones under the same number once in 10^10 pairs. Sets are worked on in chunks that stay in a core's
cache; twelve bits in front of the number say which text of its chunk a shingle belongs to, so that
one sort of plain integers sorts all of them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakebalance.core.chance import GOLDEN, Words, mix

Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]
Tokens = Literal["words", "characters"]

BITS = np.uint64(52)
VALUE = np.uint64(2**52 - 1)
CHUNK_TEXTS = 2**12
CHUNK_CHARACTERS = 2**17
PLANE = 2**16
STEP = 0xD1342543DE82EF95


class Sets(NamedTuple):
    """Sets of numbers: set i is ``values[starts[i]:starts[i + 1]]``, sorted, each once."""

    values: Words
    starts: Ints

    @property
    def sizes(self) -> Ints:
        """How many numbers are in each set."""
        return np.diff(self.starts)


class Tokenised(NamedTuple):
    """The tokens of a chunk's texts: where each begins and has ended, and its hash.

    ``counts`` says how many each text has.
    """

    codes: Codes
    begin: Ints
    end: Ints
    counts: Ints
    hashes: Words

    def texts(self, at: int, length: int) -> list[str]:
        """The texts of so many tokens from one on."""
        spans = zip(self.begin[at : at + length], self.end[at : at + length], strict=True)
        return [self.codes[first:last].tobytes().decode("utf-32-le") for first, last in spans]


def chunks(texts: pa.Array) -> Iterator[pa.Array]:
    """The texts in runs of few enough texts and characters; a longer one is a run of its own."""
    ends = np.cumsum(pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False))
    start = 0
    while start < len(texts):
        before = ends[start - 1] if start else 0
        fit = int(np.searchsorted(ends, before + CHUNK_CHARACTERS, side="right"))
        stop = min(max(fit, start + 1), start + CHUNK_TEXTS)
        yield texts[start:stop]
        start = stop


def shingles(texts: pa.Array, tokens: Tokens, n: int) -> Sets:
    """The set of shingles of each text of a chunk.

    Words are runs of letters, marks and digits of any script. A text of fewer than n tokens has
    one shingle, all of it; one without any, or null, has none.

    Parameters
    ----------
    texts : at most 4,096 texts in large_string, in the form in which they are compared.
    tokens : what a shingle is a run of.
    n : of how many.

    Examples
    --------
    >>> texts = pa.array(["a rose is a rose is a rose", "a rose", "", None], pa.large_string())
    >>> shingles(texts, "words", 3).sizes.tolist()
    [3, 1, 0, 0]
    """
    found = tokenised(texts, tokens)
    with np.errstate(over="ignore"):
        owners, values = _runs(found.hashes, found.counts, n)
    return _sets(owners, values, len(texts))


def tokenised(texts: pa.Array, tokens: Tokens) -> Tokenised:
    """The tokens of a chunk's texts, in order.

    Parameters
    ----------
    texts : large_string, in the form in which they are compared.
    tokens : what a token is.

    Examples
    --------
    >>> found = tokenised(pa.array(["a rose is", None, "b"], pa.large_string()), "words")
    >>> found.counts.tolist(), found.texts(1, 2)
    ([3, 0, 1], ['rose', 'is'])
    """
    codes, bounds = _code_points(texts)
    with np.errstate(over="ignore"):
        if tokens == "words":
            begin, end = _words(codes, bounds)
            counts = np.diff(np.searchsorted(begin, bounds))
            return Tokenised(codes, begin, end, counts, _hashes(codes, begin, end))
        begin = np.arange(len(codes))
        hashes = mix(codes.astype(np.uint64) * np.uint64(STEP))
        return Tokenised(codes, begin, begin + 1, np.diff(bounds), hashes)


def _code_points(texts: pa.Array) -> tuple[Codes, Ints]:
    """All characters of the texts one after the other, and where each text begins."""
    texts = pc.fill_null(texts, "")
    bounds = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(pc.utf8_length(texts).to_numpy(zero_copy_only=False), out=bounds[1:])
    _, places, data = texts.buffers()
    ends = np.frombuffer(places, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    joined = str(memoryview(data)[ends[0] : ends[-1]], "utf-8") if bounds[-1] else ""
    return np.frombuffer(joined.encode("utf-32-le"), np.uint32), bounds


@cache
def _plane(number: int) -> NDArray[np.bool_]:
    """Which of 65,536 characters are part of words."""
    first = number * PLANE
    kinds = [unicodedata.category(chr(code))[0] for code in range(first, first + PLANE)]
    return np.isin(kinds, ["L", "M", "N"])


@cache
def _in_words(planes: int) -> NDArray[np.bool_]:
    return np.concatenate([_plane(number) for number in range(planes)])


@cache
def _powers() -> tuple[Words, Words]:
    """Powers of the base and of its inverse."""
    # The base is odd, so that each power has an inverse modulo 2^64.
    inverse = pow(GOLDEN, -1, 2**64)
    both = []
    for base in (GOLDEN, inverse):
        powers = np.full(CHUNK_CHARACTERS + 1, base, np.uint64)
        powers[0] = 1
        both.append(np.cumprod(powers))
    return both[0], both[1]


def _words(codes: Codes, bounds: Ints) -> tuple[Ints, Ints]:
    """Where each word begins, and where it has ended."""
    if not len(codes):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    inside = _in_words(int(codes.max()) // PLANE + 1)[codes]
    first, last = inside.copy(), inside.copy()
    first[1:] &= ~inside[:-1]
    last[:-1] &= ~inside[1:]
    edges = bounds[1:-1]
    edges = edges[(edges > 0) & (edges < len(codes))]
    first[edges] = inside[edges]
    last[edges - 1] = inside[edges - 1]
    return np.flatnonzero(first), np.flatnonzero(last) + 1


def _hashes(codes: Codes, begin: Ints, end: Ints) -> Words:
    """The hash of each word."""
    hashes = np.empty(len(begin), np.uint64)
    done = 0
    while done < len(begin):
        low = begin[done]
        upto = int(np.searchsorted(end, low + CHUNK_CHARACTERS, side="right"))
        if upto == done:
            hashes[done : done + 1] = _hash_of_long(codes[low : end[done]])
            upto = done + 1
        else:
            high = end[upto - 1]
            own = slice(done, upto)
            hashes[own] = _polynomials(codes[low:high], begin[own] - low, end[own] - low)
        done = upto
    return hashes


def _hash_of_long(word: Codes) -> Words:
    """The hash of a word longer than a chunk, as in texts without spaces: piece by piece."""
    found = np.array([len(word)], np.uint64)
    for at in range(0, len(word), CHUNK_CHARACTERS):
        piece = word[at : at + CHUNK_CHARACTERS]
        found = mix(found * np.uint64(GOLDEN) + _polynomials(piece, [0], [len(piece)]))
    return found


def _polynomials(codes: Codes, begin: Ints | list[int], end: Ints | list[int]) -> Words:
    """Hashes of pieces, each as the polynomial of its characters modulo 2^64."""
    up, down = _powers()
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum((codes + np.uint64(1)) * up[: len(codes)], out=sums[1:])
    return mix((sums[end] - sums[begin]) * down[begin])


def _runs(tokens: Words, counts: Ints, n: int) -> tuple[Ints, Words]:
    """The hash of each run of n tokens within a text, and whose it is."""
    owner = np.repeat(np.arange(len(counts)), counts)
    owners, values = [], []
    if len(tokens) >= n:
        whole = owner[: len(owner) - n + 1] == owner[n - 1 :]
        owners.append(owner[: len(whole)][whole])
        values.append(_run(tokens, n)[whole])
    starts = np.cumsum(counts) - counts
    for length in np.unique(counts[(counts > 0) & (counts < n)]).tolist():
        short = np.flatnonzero(counts == length)
        owners.append(short)
        values.append(_run(tokens, length)[starts[short]])
    if not owners:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    return np.concatenate(owners), np.concatenate(values)


def _run(tokens: Words, n: int) -> Words:
    """The hash of the n tokens that begin at each place."""
    last = len(tokens) - n + 1
    # The length goes in first, so that a short text is no part of a longer one.
    found = tokens[:last] + np.uint64(n)
    for i in range(1, n):
        found = found * np.uint64(STEP) + tokens[i : last + i]
    return mix(found) >> (np.uint64(64) - BITS)


def _sets(owners: Ints, values: Words, count: int) -> Sets:
    tagged = np.sort((owners.astype(np.uint64) << BITS) | values)
    if len(tagged):
        tagged = tagged[np.concatenate([[True], tagged[1:] != tagged[:-1]])]
    starts = np.zeros(count + 1, np.int64)
    sizes = np.bincount((tagged >> BITS).astype(np.int64), minlength=count)
    np.cumsum(sizes, out=starts[1:])
    return Sets(tagged & VALUE, starts)


def jaccard(one: Sets, other: Sets) -> NDArray[np.float64]:
    """The Jaccard similarity of each set with the one at its place in the other: exact.

    Parameters
    ----------
    one, other : as many sets each; two without numbers have a similarity of 0.

    Examples
    --------
    >>> one = Sets(np.array([1, 2, 3, 4], np.uint64), np.array([0, 2, 4]))
    >>> other = Sets(np.array([2, 3, 4], np.uint64), np.array([0, 1, 3]))
    >>> jaccard(one, other).tolist()
    [0.5, 1.0]
    """
    found = np.zeros(len(one.starts) - 1)
    for low in range(0, len(found), CHUNK_TEXTS):
        high = min(low + CHUNK_TEXTS, len(found))
        tagged = np.sort(np.concatenate([_tagged(one, low, high), _tagged(other, low, high)]))
        both = tagged[1:][tagged[1:] == tagged[:-1]]
        shared = np.bincount((both >> BITS).astype(np.int64), minlength=high - low)
        total = one.sizes[low:high] + other.sizes[low:high] - shared
        found[low:high] = shared / np.maximum(total, 1)
    return found


def _tagged(sets: Sets, low: int, high: int) -> Words:
    tags = np.repeat(np.arange(high - low, dtype=np.uint64), sets.sizes[low:high])
    return (tags << BITS) | sets.values[sets.starts[low] : sets.starts[high]]


def hash_of_sets(sets: Sets) -> tuple[Words, Words]:
    """128 bits for each set, none of which is empty; equal sets have equal ones."""
    with np.errstate(over="ignore"):
        low = np.add.reduceat(mix(sets.values), sets.starts[:-1])
        high = np.add.reduceat(mix(sets.values ^ np.uint64(STEP)), sets.starts[:-1])
        return mix(high), mix(low + sets.sizes.astype(np.uint64))
