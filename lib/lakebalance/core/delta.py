"""What a Spark session needs to read and write Delta tables."""

from __future__ import annotations

from lakebalance.core.errors import LakebalanceError

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
DELTA_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
NO_DELTA = (
    "[DATA_SOURCE_NOT_FOUND]",
    "[DELTA_CONFIGURE_SPARK_SESSION",
    "[UNSUPPORTED_DATASOURCE_FOR_DIRECT_QUERY]",
)


def without_delta(error: BaseException) -> LakebalanceError | None:
    """What to say where Spark failed because the session has no Delta; None if it has."""
    # A missing class comes as a plain Java error, so the text decides; fetching it costs 0.1 s.
    text = str(error)
    if not any(mark in text for mark in NO_DELTA):
        return None
    delta = " ".join(f"--conf {key}={value}" for key, value in DELTA_SETTINGS.items())
    return LakebalanceError(
        f"the Spark session has no Delta; submit with --packages {DELTA_PACKAGE} {delta}"
    )
