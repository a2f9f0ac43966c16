"""Whole texts that are installed here: descriptions of packages, licences, docstrings, manuals."""

from __future__ import annotations

import importlib.metadata
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import text_mixture

SHARED = Path("/usr/share")
# One as long as a manual's page; what is longer is data.
MOST = 500_000


def descriptions() -> Iterator[tuple[str, str]]:
    """What each installed package says of itself, by its name."""
    found = {}
    for package in importlib.metadata.distributions():
        text = str(package.metadata.get_payload() or "").strip()
        text = text or package.metadata.get("Description", "")
        found[package.metadata["Name"]] = f"{package.metadata.get('Summary') or ''}\n{text}"
    yield from sorted(found.items())


def licences() -> Iterator[tuple[str, str]]:
    """Licences of packages and of the system, by where they are."""
    folder = Path(sysconfig.get_paths()["purelib"])
    for path in sorted(folder.glob("*.dist-info/**/*")):
        if path.name.upper().startswith(("LICEN", "COPYING", "NOTICE")):
            yield from _read(path, folder)
    for pattern in ("common-licenses/*", "doc/*/copyright", "licenses/**/*"):
        for path in sorted(SHARED.glob(pattern)):
            if not path.is_symlink():
                yield from _read(path, SHARED)


def _read(path: Path, folder: Path) -> Iterator[tuple[str, str]]:
    if path.is_file() and path.stat().st_size <= MOST:
        text = path.read_text(encoding="utf-8", errors="replace")
        yield str(path.relative_to(folder)), text


def docstrings(*packages: str) -> Iterator[tuple[str, str]]:
    """Docstrings of packages, by package and number; of Python's own library where none is."""
    for name in packages:
        own = text_mixture.docstrings(text_mixture.package(name))
        for i, text in enumerate(own):
            yield f"{name} {i}", text


def manuals() -> Iterator[tuple[str, str]]:
    """Topics of Python's manual, and what scikit-learn says of its data sets."""
    for i, text in enumerate(text_mixture.manual()):
        yield f"Python's manual {i}", text
    for i, text in enumerate(text_mixture.descriptions()):
        yield f"data set of scikit-learn {i}", text


def versions(*packages: str) -> str:
    """Packages with their versions, for the page that shows results."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
