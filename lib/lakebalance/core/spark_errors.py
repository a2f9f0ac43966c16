"""Says Spark's and Delta's failures in the user's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from lakebalance.core import errors
from lakebalance.core.errors import LakebalanceError, RecipeError, TableError, first_line

CONFLICT = re.compile(
    r"DELTA_CONCURRENT|Concurrent\w*Exception|DELTA_METADATA_CHANGED|MetadataChangedException"
    r"|DELTA_PROTOCOL_CHANGED|ProtocolChangedException|DELTA_TABLE_ALREADY_EXISTS"
    r"|DELTA_PATH_EXISTS|FileAlreadyExistsException"
)
GONE = re.compile(
    r"FILE_NOT_EXIST|DELTA_FILE_NOT_FOUND|FileNotFoundException|DELTA_TRUNCATED_TRANSACTION_LOG"
    r"|does not exist|PATH_NOT_FOUND|DELTA_VERSION_NOT_FOUND|VersionNotFoundException"
)
FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large")
DENIED = re.compile(
    r"Permission denied|AccessControlException|AccessDenied|Mkdirs failed|Read-only file system"
    r"|Operation not permitted|INSUFFICIENT_PERMISSIONS|DELTA_CANNOT_CREATE_LOG_PATH"
)
BROKEN = re.compile(r"FAILED_READ_FILE\.NO_HINT\] Encountered error while reading file (\S+)\.\s")
FAILS = re.compile(
    r"\[(?:DIVIDE_BY_ZERO|CAST_INVALID_INPUT|CAST_OVERFLOW\w*|ARITHMETIC_OVERFLOW|"
    r"BINARY_ARITHMETIC_OVERFLOW|CANNOT_PARSE_\w+|INVALID_ARRAY_INDEX\w*|REMAINDER_BY_ZERO|"
    r"NUMERIC_VALUE_OUT_OF_RANGE[\w.]*|DATETIME_OVERFLOW)\][^\n]*"
)
IN_SQL = re.compile(r"== SQL[^\n]*==\n([^\n]+)")
PATTERN = re.compile(r"PatternSyntaxException: ([^\n]+)")
IN_A_TASK = re.compile(r"lakebalance\.core\.errors\.((?:Recipe|Table)Error): (.*)")
NOT_THERE = re.compile(r"ModuleNotFoundError: No module named '(lakebalance|rapidfuzz)")
NOT_ON_WORKERS = {
    "lakebalance": "the Python of Spark's workers does not have lakebalance; install it there, or "
    "give its wheel to spark-submit with --py-files",
    "rapidfuzz": "the Python of Spark's workers does not have rapidfuzz, which compares texts; "
    "install it there: pip install rapidfuzz",
}


def is_conflict(error: BaseException) -> bool:
    """Whether another writer came first."""
    return bool(CONFLICT.search(str(error)))


def is_denied(error: BaseException) -> bool:
    """Whether something may not be read or written."""
    return bool(DENIED.search(str(error)))


def for_users(error: BaseException, place: str) -> LakebalanceError | None:
    """What a failure of Spark means and what to do; None where it is not a known one.

    Parameters
    ----------
    error : the failure.
    place : table or stage, for the message.
    """
    # The cause stands deep in what Spark says: driver and executor traces are all in the text.
    text = str(error)
    if said := IN_A_TASK.search(text):
        kind: type[LakebalanceError] = getattr(errors, said[1])
        return kind(said[2].strip())
    if found := NOT_THERE.search(text):
        return TableError(NOT_ON_WORKERS[found[1]])
    if FULL.search(text):
        return TableError(f"{place}: the disk is full; make room and run again")
    if found := DENIED.search(text):
        line = next(line for line in text.splitlines() if found[0] in line).strip()
        return TableError(f"{place}: no permission: {line[:300]}")
    if GONE.search(text):
        return TableError(
            f"{place}: a data file of the pinned version is not there any more; VACUUM may have "
            f"removed it: leave out version, or name a newer one ({first_line(error)[:300]})"
        )
    if found := BROKEN.search(text):
        return TableError(
            f"{place}: {found[1]} cannot be read; it is broken or half written: restore the file, "
            "or take its table to an earlier version"
        )
    if found := FAILS.search(text):
        of = IN_SQL.search(text)
        where = f", in: {of[1].strip()}" if of else ""
        return RecipeError(
            f"{place}: an expression fails on a row: {found[0][:300]}{where}; filter such rows out "
            "first, or write one of try_cast, try_divide, …"
        )
    if found := PATTERN.search(text):
        return RecipeError(f"{place}: a regular expression cannot be read: {found[1]}")
    return None


@contextmanager
def said_for_users(place: str) -> Iterator[None]:
    """Turn known failures of Spark within the block into errors for users.

    A failed task reaches Python as Py4J's exception in classic Spark and as PySpark's in Connect.

    Raises
    ------
    TableError : in place of Spark's exception, which stays its cause.
    """
    try:
        yield
    except LakebalanceError:
        raise
    except Exception as error:
        known = for_users(error, place)
        if known is None:
            raise
        raise known from error
