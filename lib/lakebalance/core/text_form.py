"""The form in which texts are compared: what differences between them do not count."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

# As Unicode has it: RE2's own class is that of ASCII, without the vertical tab.
WHITE = r"[\s\v\x{1c}-\x{1f}\x{85}\p{Z}]+"
PUNCTUATION = r"\p{P}+"
# Lower case alone leaves these apart from what their upper case becomes.
FOLDED = {"ς": "σ", "ß": "ss"}


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
        >>> TextForm().apply(pa.array(["ΟΔΟΣ\\x0b\\x85Strasse", "οδος straße"])).to_pylist()
        ['οδοσ strasse', 'οδοσ strasse']
        """
        texts = texts.cast(pa.large_string())
        # What NFKC changes is never ASCII, and most batches of English texts are.
        ascii_only = pc.all(pc.string_is_ascii(texts), min_count=0).as_py()
        if self.unicode and not ascii_only:
            texts = pc.utf8_normalize(texts, form="NFKC")
        if self.case:
            texts = pc.utf8_lower(texts)
            if not ascii_only:
                for letter, folded in FOLDED.items():
                    texts = pc.replace_substring(texts, letter, folded)
        if self.punctuation:
            texts = pc.replace_substring_regex(texts, PUNCTUATION, " ")
        if self.whitespace:
            texts = pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, WHITE, " "))
        return texts
