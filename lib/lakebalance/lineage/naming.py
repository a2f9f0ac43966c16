"""Where tables lie, in OpenLineage's words: a namespace and a name.

Source: the naming of datasets in OpenLineage's specification.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

URI = re.compile(r"^(?P<scheme>[a-zA-Z][\w+.-]*):/*(?P<rest>.*)$")
# Names under which Hadoop's drivers know what others call otherwise.
SCHEMES = {"s3a": "s3", "s3n": "s3", "abfs": "abfss", "wasb": "wasbs", "viewfs": "hdfs"}


@dataclass(frozen=True)
class Dataset:
    """A table as lineage tools know it; ``alias`` is its name in a catalog, if it has one."""

    namespace: str
    name: str
    alias: str | None = None


def dataset(location: str, alias: str | None = None) -> Dataset:
    """The dataset at a location.

    Parameters
    ----------
    location : an absolute path or a URI.
    alias : the table's name in a catalog.

    Examples
    --------
    >>> dataset("/lake/flights/")
    Dataset(namespace='file', name='/lake/flights', alias=None)
    >>> dataset("s3a://bucket/lake/flights", "db.flights")
    Dataset(namespace='s3://bucket', name='lake/flights', alias='db.flights')
    >>> dataset("abfss://box@account.dfs.core.windows.net/lake/flights").namespace
    'abfss://box@account.dfs.core.windows.net'
    """
    found = URI.match(location)
    if found is None or found["scheme"].lower() in ("file", "dbfs"):
        scheme = "file" if found is None else found["scheme"].lower()
        path = location if found is None else found["rest"]
        return Dataset(scheme, "/" + path.strip("/"), alias)
    scheme = SCHEMES.get(found["scheme"].lower(), found["scheme"].lower())
    host, _, path = found["rest"].partition("/")
    # HDFS has absolute paths, object stores have keys.
    name = "/" + path.strip("/") if scheme == "hdfs" else path.strip("/") or "/"
    return Dataset(f"{scheme}://{host}", name, alias)
