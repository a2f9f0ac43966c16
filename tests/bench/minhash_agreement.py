"""Which pairs lakebalance, datasketch and datatrove find by MinHash, and why they differ.

All get the same texts, shingles of five words, and bands of as many values. Two sets of texts:
random words with planted copies, where nothing but chance differs, and real ones, where words do.
Of every two texts the similarity is known: that of their sets of shingles, by a sparse product.

python tests/bench/minhash_agreement.py --datatrove PYTHON_WITH_DATATROVE
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from scipy import sparse

sys.path.append(str(Path(__file__).parents[1] / "prune"))
import installed_texts
from lakebalance.core.hashing import hash128
from lakebalance.core.session import local_session
from lakebalance.prune.bands import Bands
from lakebalance.prune.minhash import MinHash, minhash
from lakebalance.prune.texts import described, valid
from planted import planted

THRESHOLD, CUT, NGRAM = 0.8, Bands(16, 8), 5
REAL = "Real texts"
SEEDS = 8
PACKAGES = ("numpy", "scipy", "pandas", "sklearn")
Pairs = set[tuple[int, int]]
# Prints the pairs that share a bucket: those next to each other in it, which its file has, make it.
DATATROVE = """
import glob, json, pathlib, struct, sys
import pyarrow.parquet as pq
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import ParquetReader
from datatrove.utils.text import TextNormConfig, simplify_text
from datatrove.utils.word_tokenizers import WordTokenizer

source, column, bands, rows, ngram, folder = sys.argv[1:]


class Spaces(WordTokenizer):
    def word_tokenize(self, text):
        return text.split()

    def sent_tokenize(self, text):
        return [text]

    def span_tokenize(self, text):
        return [(0, len(text))]


if __name__ == "__main__":
    same = column == "words"
    norm = TextNormConfig(*[False] * 7) if same else TextNormConfig()
    config = MinhashConfig(
        n_grams=int(ngram), num_buckets=int(bands), hashes_per_bucket=int(rows), norm_config=norm
    )
    language = {"language": Spaces()} if same else {}
    reader = ParquetReader(source, text_key=column, id_key="id", batch_size=100)
    signature = MinhashDedupSignature(f"{folder}/signatures", config=config, **language)
    LocalPipelineExecutor([reader, signature], 1, logging_dir=f"{folder}/logs/1").run()
    buckets = MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/pairs", config=config)
    LocalPipelineExecutor([buckets], int(bands), logging_dir=f"{folder}/logs/2").run()
    found = []
    for name in sorted(glob.glob(f"{folder}/pairs/*.dups")):
        links = struct.iter_unpack("<4I", pathlib.Path(name).read_bytes())
        chains, end = [], None
        for _, a, _, b in links:
            if a != end:
                chains.append([a])
            chains[-1].append(b)
            end = b
        found.append(chains)
    cut = signature.word_tokenizer.word_tokenize
    texts = pq.read_table(source)[column].to_pylist()
    words = [cut(simplify_text(text, norm)) for text in texts]
    said = {"pairs": found, "words": words}
    pathlib.Path(f"{folder}/found.json").write_text(json.dumps(said))
"""


@dataclass(frozen=True)
class Texts:
    """A set of texts with the sets of their shingles, and similarities of pairs of some."""

    title: str
    texts: list[str]
    words: list[list[str]]
    similar: dict[tuple[int, int], float]

    @classmethod
    def of(cls, title: str, texts: list[str]) -> Texts:
        """The texts, compared each with each."""
        words = [words_of(text) for text in texts]
        return cls(title, texts, words, similarities([shingled(own) for own in words]))


def words_of(text: str) -> list[str]:
    """Runs of letters, marks and digits, of what NFKC and lower case leave of a text."""
    plain = unicodedata.normalize("NFKC", text).lower()
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in plain).split()


def shingled(words: Sequence[str], short: bool = True) -> set[tuple[str, ...]]:
    """Runs of five words; fewer are one shingle, unless short texts are to have none."""
    if short and 0 < len(words) < NGRAM:
        return {tuple(words)}
    return {tuple(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)}


def similarities(
    sets: Sequence[set[tuple[str, ...]]], least: float = 0.2
) -> dict[tuple[int, int], float]:
    """The Jaccard similarity of all pairs that have at least so much, by counting shared ones."""
    number: dict[tuple[str, ...], int] = {}
    columns = [number.setdefault(s, len(number)) for own in sets for s in own]
    sizes = np.array([len(own) for own in sets])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    ones = np.ones(len(columns), np.int32)
    matrix = sparse.csr_matrix((ones, columns, starts), shape=(len(sets), len(number)))
    found = {}
    for low in range(0, len(sets), 500):
        shared = (matrix[low : low + 500] @ matrix.T).tocoo()
        a, b, both = shared.row + low, shared.col, shared.data
        jaccard = both / (sizes[a] + sizes[b] - both)
        near = (a < b) & (jaccard >= least)
        keys = zip(a[near].tolist(), b[near].tolist(), strict=True)
        found |= dict(zip(keys, jaccard[near].tolist(), strict=True))
    return found


def in_buckets(buckets: Iterable[Iterable[int]]) -> Pairs:
    """All pairs of each bucket, the lesser first."""
    return {pair for own in buckets for pair in itertools.combinations(sorted(own), 2)}


def lakebalance(spark: SparkSession, texts: Texts) -> tuple[Pairs, Pairs]:
    """The pairs that agree in a band, and those that ``minhash`` leaves one row of at most."""
    table = pa.table({"id": range(len(texts.texts)), "text": texts.texts})
    df = spark.createDataFrame(table)
    asked = MinHash(
        method="minhash", columns=["text"], threshold=THRESHOLD, ngram=NGRAM,
        bands=CUT.bands, rows=CUT.rows,
    )  # fmt: skip
    said = described(valid(F.col("text")), asked.shingling, CUT)
    bands = df.select("id", F.explode(said.getField("bands")).alias("band")).toArrow().to_pydict()
    buckets: dict[int, list[int]] = {}
    for key, band in zip(bands["id"], bands["band"], strict=True):
        buckets.setdefault(band, []).append(key)
    rows = df.withColumn("__lb_key", hash128(df, ["id"], "key", "s"))
    found = minhash(rows, asked, "prune.0")
    ids = rows.select("id", F.col("__lb_key").alias("dropped"))
    gone = found.select("dropped", "kept", "cluster").join(ids, "dropped")
    kept = rows.select(F.col("id").alias("to"), F.col("__lb_key").alias("kept"))
    clusters: dict[int, set[int]] = {}
    for row in gone.join(kept, "kept").select("id", "to", "cluster").collect():
        clusters.setdefault(row["cluster"], set()).update((row["id"], row["to"]))
    return in_buckets(buckets.values()), in_buckets(clusters.values())


def datasketch(texts: Texts) -> Pairs:
    """The pairs that agree in a band."""
    from datasketch import MinHashLSH

    lsh = MinHashLSH(num_perm=CUT.bands * CUT.rows, params=(CUT.bands, CUT.rows))
    found = set()
    for i, own in enumerate(_signatures(texts, 1)):
        found |= {(j, i) for j in lsh.query(own)} if texts.words[i] else set()
        if texts.words[i]:
            lsh.insert(i, own)
    return found


def _signatures(texts: Texts, seed: int) -> Iterator[Any]:
    from datasketch import MinHash as Signature

    for words in texts.words:
        own = Signature(num_perm=CUT.bands * CUT.rows, seed=seed)
        if words:
            own.update_batch([" ".join(shingle).encode() for shingle in shingled(words)])
        yield own


def by_other_seeds(texts: Texts, seeds: Iterable[int]) -> list[Pairs]:
    """The pairs that agree in a band by other hash functions of datasketch, for each seed."""
    pairs = np.array(list(texts.similar))
    found = []
    for seed in seeds:
        values = np.stack([own.hashvalues for own in _signatures(texts, seed)])
        bands = values.reshape(len(values), CUT.bands, CUT.rows)
        agree = (bands[pairs[:, 0]] == bands[pairs[:, 1]]).all(axis=2).any(axis=1)
        found.append({tuple(pair) for pair in pairs[agree].tolist()})
    return found


def datatrove(python: str, texts: Texts, column: str) -> tuple[Pairs, list[list[str]]]:
    """The pairs that agree in a band, and the words of each text.

    Of the same words as the others', or of texts, which it takes apart itself.
    """
    folder = Path(tempfile.mkdtemp(prefix="lb-agreement-"))
    words = [" ".join(own) for own in texts.words]
    # It skips texts that are empty; numbers of rows stay what they are with something in each.
    given = [text or "-" for text in (words if column == "words" else texts.texts)]
    table = pa.table({"id": pa.array(map(str, range(len(given)))), column: given})
    pq.write_table(table, folder / "texts.parquet")
    script = folder / "contestant.py"
    script.write_text(DATATROVE)
    arguments = [folder / "texts.parquet", column, CUT.bands, CUT.rows, NGRAM, folder]
    done = subprocess.run(
        [python, script, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    said = json.loads((folder / "found.json").read_text())
    return in_buckets(chain for chains in said["pairs"] for chain in chains), said["words"]


def by_similarity(texts: Texts, found: Mapping[str, Pairs], again: Sequence[Pairs]) -> None:
    """Print for bands of similarity how many pairs there are and how many each tool found.

    ``again`` are those by other hash functions. Pairs of one family are found or missed together.
    """
    more = f" {len(again)} other seeds |" if again else ""
    print(f"\n| Jaccard | pairs | by chance |{more} {' | '.join(found)} |")
    print(f"|---|---:|---:|{'---:|' * (len(found) + bool(again))}")
    edges = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    for low, high in itertools.pairwise([*edges, 1.01]):
        own = {p: s for p, s in texts.similar.items() if low <= s < high}
        if own:
            chances = [CUT.found(s) for s in own.values()]
            spread = math.sqrt(sum(p * (1 - p) for p in chances))
            cells = [f"{len(own.keys() & pairs):,}" for pairs in found.values()]
            if again:
                counts = [len(own.keys() & pairs) for pairs in again]
                spread_of = f"{np.mean(counts):,.1f} ± {np.std(counts, ddof=1):,.1f}"
                cells.insert(0, spread_of)
            name = "1" if low == 1 else f"{low:.1f} to {high:.1f}"
            expected = f"{sum(chances):,.1f} ± {spread:,.1f}"
            print(f"| {name} | {len(own):,} | {expected} | {' | '.join(cells)} |")
    under = [len(pairs - texts.similar.keys()) for pairs in found.values()]
    if any(under):
        print(f"| under 0.2 | | |{' |' if again else ''} {' | '.join(f'{n:,}' for n in under)} |")


def agreement(texts: Texts, found: Mapping[str, Pairs], together: Pairs) -> list[str]:
    """Print the pairs by who found them, with what chance alone would make; return examples."""
    names = list(found)
    near = {pair for pair, s in texts.similar.items() if s >= THRESHOLD}
    classes: dict[tuple[bool, tuple[str, ...]], list[tuple[int, int]]] = {}
    for pair in sorted(set().union(near, *found.values())):
        by = tuple(name for name in names if pair in found[name])
        classes.setdefault((pair in near, by), []).append(pair)
    print(
        "\n| Jaccard | a band agrees in | pairs | by chance | mean Jaccard | one row left | why |"
    )
    print("|---|---|---:|---:|---:|---:|---|")
    order = sorted(classes.items(), key=lambda c: (not c[0][0], -len(c[0][1]), c[0][1]))
    for (over, by), pairs in order:
        side = near if over else texts.similar.keys() - near
        likely = sum(_chance(CUT.found(texts.similar[p]), len(by), len(names)) for p in side)
        mean = sum(similarity_of(texts, pair) for pair in pairs) / len(pairs)
        left = sum(pair in together for pair in pairs)
        said = _all_or(by, names)
        bound = f"≥ {THRESHOLD:g}" if over else f"< {THRESHOLD:g}"
        print(
            f"| {bound} | {said} | {len(pairs):,} | {likely:,.1f} | {mean:.3f} | {left:,} "
            f"| {_why(over, len(by), len(names), mean)} |"
        )
    return [
        f"- {'≥' if over else '<'} {THRESHOLD:g}, {_all_or(by, names)} alone: {shown(texts, pairs)}"
        for (over, by), pairs in order
        if len(by) < len(names)
    ]


def _all_or(by: Sequence[str], names: Sequence[str]) -> str:
    return "all" if len(by) == len(names) else ", ".join(by) or "none"


def _chance(p: float, hits: int, tools: int) -> float:
    return p**hits * (1 - p) ** (tools - hits)


def _why(over: bool, hits: int, tools: int, mean: float) -> str:
    chance = CUT.found(mean)
    if over and hits == tools:
        return "near-duplicates that all find"
    if over:
        return f"hash functions differ; each misses {1 - chance:.1%} of pairs so similar"
    return f"a band agrees by chance in {chance:.0%} of pairs so similar; comparing tells"


def shown(texts: Texts, pairs: Sequence[tuple[int, int]]) -> str:
    """The pair of middling similarity: how similar, and where they begin to differ."""
    pair = sorted(pairs, key=lambda pair: (similarity_of(texts, pair), pair))[len(pairs) // 2]
    one, other = (texts.words[i] for i in pair)
    both = itertools.zip_longest(one, other)
    at = max(next((i for i, (a, b) in enumerate(both) if a != b), 0) - 2, 0)
    told = (" ".join(own[at : at + 7])[:60] for own in (one, other))
    return f"{similarity_of(texts, pair):.3f} ({' / '.join(f'“{text}”' for text in told)})"


def other_words(texts: Texts, own: Texts, same: Pairs, found: Pairs) -> None:
    """Print what it makes of the pairs that datatrove takes texts apart in its own way."""
    print("\n| Jaccard by these words | by datatrove's | pairs | found by these | by its own |")
    print("|---|---|---:|---:|---:|")
    near, theirs = (
        {pair for pair, s in each.similar.items() if s >= THRESHOLD} for each in (texts, own)
    )
    signs = {True: f"≥ {THRESHOLD:g}", False: f"< {THRESHOLD:g}"}
    examples = []
    for a, b in ((True, True), (True, False), (False, True), (False, False)):
        every = near | theirs | same | found
        pairs = {pair for pair in every if (pair in near, pair in theirs) == (a, b)}
        print(
            f"| {signs[a]} | {signs[b]} | {len(pairs):,} | {len(pairs & same):,} "
            f"| {len(pairs & found):,} |"
        )
        if a != b and pairs:
            # The farthest apart by what counts as a word.
            pair = min(
                pairs,
                key=lambda p: (-abs(similarity_of(texts, p) - similarity_of(own, p)), p),
            )
            examples.append(
                f"- {signs[a]} by these words, {signs[b]} by its own: "
                f"{similarity_of(texts, pair):.3f} against {similarity_of(own, pair):.3f} "
                f"({_both(texts, pair)})"
            )
    print("\n" + "\n".join(examples))


def similarity_of(texts: Texts, pair: tuple[int, int]) -> float:
    """The Jaccard similarity of a pair; 0 where it is too small to have been kept."""
    return texts.similar.get(pair, 0.0)


def _both(texts: Texts, pair: tuple[int, int]) -> str:
    return " / ".join(f"“{_begin(texts.texts[i])}”" for i in pair)


def _begin(text: str) -> str:
    return " ".join(text.split())[:60].replace("|", "\\|").replace("`", "'")


def real(least: int, most: int) -> list[str]:
    """Docstrings, licences, descriptions and manuals of at least so many words, as many at most."""
    kinds = [
        installed_texts.docstrings(*PACKAGES),
        installed_texts.licences(),
        installed_texts.descriptions(),
        installed_texts.manuals(),
    ]
    found = [text for kind in kinds for _, text in kind if len(text.split()) >= least]
    step = max(len(found) // most, 1)
    return found[::step]


def main() -> None:
    """Let all find pairs, and print who found which."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=4_000, help="texts of each set, about")
    parser.add_argument("--datatrove", help="the Python of an environment that has datatrove")
    asked = parser.parse_args()
    spark = local_session("local[2]")
    sets = {
        "Random words with planted copies": planted(asked.texts)[0],
        REAL: real(20, asked.texts),
    }
    print(installed_texts.versions("datasketch", "pyspark", *PACKAGES[:3], "scikit-learn"))
    for title, given in sets.items():
        texts = Texts.of(title, given)
        bands, together = lakebalance(spark, texts)
        found = {"lakebalance": bands, "datasketch": datasketch(texts)}
        if asked.datatrove:
            found["datatrove"], _ = datatrove(asked.datatrove, texts, "words")
        print(f"\n### {title}: {len(given):,} texts")
        again = by_other_seeds(texts, range(2, 2 + SEEDS)) if title == REAL else []
        by_similarity(texts, found | {"lakebalance, one row left": together}, again)
        examples = agreement(texts, found, together)
        if title != REAL:
            continue
        print("\n" + "\n".join(examples))
        if asked.datatrove:
            pairs, words = datatrove(asked.datatrove, texts, "text")
            own = Texts(title, given, words, similarities([shingled(w, False) for w in words]))
            other_words(texts, own, found["datatrove"], pairs)


if __name__ == "__main__":
    main()
