"""What differences between texts do not count, as recipes say it."""

from __future__ import annotations

from pydantic import Field

from lakebalance.core.registry import MethodOptions
from lakebalance.core.text_form import TextForm

# What the options of methods say of it, as their page shows no fields of fields.
DIFFERENCES = (
    "Differences between texts that do not count. With the defaults, case: true (upper and lower "
    "case), unicode: true (what NFKC makes equal: composed and combining accents, full and half "
    "width, ligatures) and whitespace: true (any run of it is one space, none at the ends), but "
    "punctuation: false (where true, it counts as white space)."
)


class Normalise(MethodOptions):
    """Differences between texts that do not count."""

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

    @property
    def form(self) -> TextForm:
        """The form in which texts are compared, for tasks."""
        return TextForm(self.case, self.unicode, self.whitespace, self.punctuation)
