"""The form in which texts are compared: what differences between them do not count."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

WHITE = r"[\s\p{Z}]+"
PUNCTUATION = r"\p{P}+"


class TextForm(NamedTuple):
    """Which differences do not count: of case, of NFKC, of white space, of punctuation."""

    case: bool = True
    unicode: bool = True
    whitespace: bool = True
    punctuation: bool = False

    def apply(self, texts: pa.Array) -> pa.Array:
        """The texts in this form.

        Parameters
        ----------
        texts : array of valid UTF-8; a null stays one.

        Returns
        -------
        Array of large_string.

        Examples
        --------
        >>> texts = pa.array(["  Well-\\nKNOWN ", "ＡＢ", None])
        >>> TextForm(punctuation=True).apply(texts).to_pylist()
        ['well known', 'ab', None]
        """
        texts = texts.cast(pa.large_string())
        # What NFKC changes is never ASCII, and most batches of English texts are.
        if self.unicode and not pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
            texts = pc.utf8_normalize(texts, form="NFKC")
        if self.case:
            texts = pc.utf8_lower(texts)
        if self.punctuation:
            texts = pc.replace_substring_regex(texts, PUNCTUATION, " ")
        if self.whitespace:
            texts = pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, WHITE, " "))
        return texts
