"""Great Expectations' Data Docs: pages of expectations and of what they found, run by run."""

from __future__ import annotations

import ast
import datetime as dt
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakebalance.core.errors import TableError
from lakebalance.expect.known import configure
from lakebalance.expect.verdicts import Verdict
from lakebalance.recipe.expect import Expectation

SITE = "lakebalance"
MARK = ".lakebalance-data-docs"


@dataclass(frozen=True)
class Validation:
    """What a run's expectations of the same rows found: each expectation with its verdict.

    ``suite`` is a name in parts, of the recipe and of the rows; ``asset`` says which tables rows
    are from.
    """

    run_id: str
    finished: dt.datetime
    suite: tuple[str, str]
    asset: str
    found: Sequence[tuple[Expectation, Verdict]]


def write_site(folder: Path, validations: Sequence[Validation]) -> Path:
    """Write the pages, in place of those that the folder has from before.

    Parameters
    ----------
    folder : where to; made if it is not there.
    validations : of any runs; the newest with a suite's name says what is in the suite.

    Returns
    -------
    The path of the first page.

    Raises
    ------
    TableError : the folder has other files, or cannot be written.
    RecipeError : an expectation is not known here, such as one of a package that is not installed.
    """
    _claim(folder)
    import great_expectations as gx

    context: Any = gx.get_context(mode="ephemeral")
    for name in list(context.variables.data_docs_sites):
        context.delete_data_docs_site(name)
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": backend,
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    context.add_data_docs_site(SITE, site)
    names = _file_names([v.suite for v in validations])
    added: set[str] = set()
    for own in sorted(validations, key=lambda v: v.finished, reverse=True):
        _add(context, own, names[own.suite], added)
    context.build_data_docs()
    return folder / "index.html"


def _claim(folder: Path) -> None:
    """Take a folder for the site: pages that are not of this one would be taken out of it."""
    try:
        if folder.exists() and not (folder / MARK).exists() and any(folder.iterdir()):
            raise TableError(
                f"{folder} has files that are not of Data Docs made here; name another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
    except OSError as error:
        raise TableError(f"{folder} cannot be written: {error.strerror}") from error


def _add(context: Any, own: Validation, name: str, added: set[str]) -> None:
    """Put a validation, and its suite unless a newer run had one of this name, into the stores."""
    from great_expectations.core import ExpectationSuite, RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    asked = [_configured(expectation) for expectation, _ in own.found]
    if name not in added:
        context.suites.add(ExpectationSuite(name=name, expectations=asked))
        added.add(name)
    run = RunIdentifier(run_name=own.run_id, run_time=own.finished)
    key = ValidationResultIdentifier(ExpectationSuiteIdentifier(name), run, "rows")
    context.validation_results_store.set(key, _validated(own, name, run, asked))


def _configured(expectation: Expectation) -> Any:
    """An expectation whose texts can stand in pages as they are: these escape nothing."""
    args = {key: _escaped(value) for key, value in expectation.args.items()}
    return configure(
        expectation.model_copy(update={"args": args}), [], f"expectation {expectation.expectation}"
    )


def _validated(own: Validation, name: str, run: Any, asked: Sequence[Any]) -> Any:
    from great_expectations import __version__
    from great_expectations.core import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )

    results = [
        ExpectationValidationResult(
            success=verdict.success,
            expectation_config=configured.configuration,
            result=_result(verdict),
            exception_info={
                "raised_exception": False,
                "exception_message": None,
                "exception_traceback": None,
            },
            meta={},
        )
        for configured, (_, verdict) in zip(asked, own.found, strict=True)
    ]
    met = sum(verdict.success for _, verdict in own.found)
    return ExpectationSuiteValidationResult(
        success=met == len(results),
        results=results,
        suite_name=name,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": met,
            "unsuccessful_expectations": len(results) - met,
            "success_percent": 100 * met / len(results),
        },
        meta={
            "run_id": run,
            "great_expectations_version": __version__,
            "batch_kwargs": {"datasource": SITE, "data_asset_name": _escaped(own.asset)},
        },
    )


def _result(verdict: Verdict) -> dict[str, Any]:
    """What was found, as Great Expectations' renderers take it; no values of rows."""
    if verdict.unexpected is None:
        observed = _observed((verdict.worst or "").removeprefix("observed "))
        return {"observed_value": _escaped(observed)} if observed else {}
    percent = 100 * verdict.unexpected / verdict.rows if verdict.rows else 0.0
    return {
        "element_count": verdict.rows,
        "unexpected_count": verdict.unexpected,
        "unexpected_percent": percent,
        "unexpected_percent_total": percent,
        "partial_unexpected_list": [],
    }


def _observed(text: str) -> Any:
    """What was observed: of quantiles and the like a mapping, which some renderers must have."""
    if not text.startswith("{"):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):  # too long, and cut off
        return None


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, Mapping):
        return {_escaped(key): _escaped(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(own) for own in value]
    return value


def _file_names(suites: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A name for each suite that can be a path, ``recipe.rows``; different ones for different."""
    names: dict[tuple[str, str], str] = {}
    for suite in sorted(set(suites)):
        plain = ".".join(re.sub(r"[^A-Za-z0-9_-]+", "_", part) for part in suite)
        name, again = plain, 1
        while name in names.values():
            again += 1
            name = f"{plain}_{again}"
        names[suite] = name
    return names
