"""What differences between texts do not count, declared once for all methods that compare texts."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

WHITE = r"[\s\p{Z}]+"
PUNCTUATION = r"\p{P}+"


class Normalise(BaseModel):
    """Differences between texts that do not count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    case: bool = Field(True, description="Upper and lower case are the same.")
    unicode: bool = Field(
        True,
        description="Texts that Unicode's NFKC makes equal are: composed and combining accents, "
        "full and half width, ligatures.",
    )
    whitespace: bool = Field(
        True, description="Any run of white space is one space, and none at the ends counts."
    )
    punctuation: bool = Field(False, description="Punctuation counts as white space.")

    def apply(self, texts: pa.Array) -> pa.Array:
        """The texts in the form in which they are compared.

        Parameters
        ----------
        texts : array of valid UTF-8; a null stays one.

        Returns
        -------
        Array of large_string.

        Examples
        --------
        >>> texts = pa.array(["  Well-\\nKNOWN ", "ＡＢ", None])
        >>> Normalise(punctuation=True).apply(texts).to_pylist()
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
