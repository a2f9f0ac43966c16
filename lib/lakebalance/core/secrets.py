"""Values of the environment that are shown nowhere: not in ledger, report, log or message.

A recipe reads them as ``${secret:NAME}``, or as ``${NAME}`` where the name says what it is. They
are kept for this process alone, so that whatever leaves it can have their names in their places.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from lakebalance.core.errors import RecipeError

# Numbers of tokens, and the working folder PWD, are none.
NAMES = re.compile(
    r"SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|(?:API|ACCESS|PRIVATE|ACCOUNT)_?KEY"
    r"|(?:^|_)(?:TOKEN|SAS)$|_PWD$",
    re.IGNORECASE,
)
HIDDEN = re.compile(r"\$\{secret:(\w+)\}")
# A shorter one would take the place of words that have nothing to do with it.
LEAST = 4

_values: dict[str, str] = {}
T = TypeVar("T")


def is_secret(name: str) -> bool:
    """Whether a variable's name says that its value is a secret.

    Examples
    --------
    >>> is_secret("LAKE_TOKEN"), is_secret("storageAccountKey"), is_secret("TOKENS")
    (True, True, False)
    """
    return bool(NAMES.search(name))


def keep(name: str, value: str) -> str:
    """Remember a secret, so that ``hide`` knows it, and return it.

    Raises
    ------
    RecipeError : it is too short to be told from other text.
    """
    if len(value) < LEAST:
        raise RecipeError(
            f"the secret {name} has {len(value)} characters; with fewer than {LEAST} it cannot be "
            "kept out of what is written: write a longer one, or another name where it is none"
        )
    _values[value] = name
    return value


def hide(data: T) -> T:
    """Data with ``${secret:NAME}`` in place of each secret, in all its texts.

    Parameters
    ----------
    data : text, or what JSON holds; anything else comes back as it is.

    Examples
    --------
    >>> _ = keep("LAKE_TOKEN", "s3cr3t!")
    >>> hide({"where": ["t = 's3cr3t!'", 5]})
    {'where': ["t = '${secret:LAKE_TOKEN}'", 5]}
    """
    changed: T = _changed(data, _hidden) if _values else data
    return changed


def reveal(data: T, environ: Mapping[str, str] | None = None) -> T:
    """Data with the secrets again that ``hide`` took out.

    Parameters
    ----------
    data : what ``hide`` takes.
    environ : where secrets are that this process has not read yet; its environment if left out.

    Raises
    ------
    RecipeError : the environment does not have one.
    """
    known = os.environ if environ is None else environ
    named = {name: value for value, name in _values.items()}

    def shown(found: re.Match[str]) -> str:
        name = found[1]
        if name in named:
            return named[name]
        if name not in known:
            raise RecipeError(f"the secret {name} is not set; set the environment variable {name}")
        return keep(name, known[name])

    changed: T = _changed(data, lambda text: HIDDEN.sub(shown, text))
    return changed


def _hidden(text: str) -> str:
    # The longest first, as one may be a part of another.
    for value in sorted(_values, key=len, reverse=True):
        text = text.replace(value, f"${{secret:{_values[value]}}}")
    return text


def _changed(data: Any, change: Callable[[str], str]) -> Any:
    if isinstance(data, str):
        return change(data)
    if isinstance(data, Mapping):
        return {_changed(k, change): _changed(v, change) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_changed(item, change) for item in data]
    return data
