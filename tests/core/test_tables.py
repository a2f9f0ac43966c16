"""What is no Delta table, and what may not be looked at."""

import pytest
from pyspark.errors import PySparkException

from lakebalance.core.errors import TableError
from lakebalance.core.tables import Table, history, newest_version


class Refusing:
    """A session whose every question ends in one error."""

    def __init__(self, error):
        self.error = error

    def sql(self, text):
        raise self.error

    @property
    def read(self):
        raise self.error


def test_a_folder_without_a_log_is_no_table(spark, tmp_path):
    assert newest_version(spark, Table(f"{tmp_path}/nothing")) is None
    spark.range(3).write.parquet(f"{tmp_path}/parquet")
    assert newest_version(spark, Table(f"{tmp_path}/parquet")) is None
    assert history(spark, Table("nowhere")) is None


@pytest.mark.parametrize("kind", [PySparkException, OSError])
def test_a_log_that_may_not_be_read_is_not_taken_for_none(kind):
    error = kind("java.io.FileNotFoundException: a/b/_delta_log (Permission denied)")
    with pytest.raises(TableError, match=r"a/b: no permission: .*_delta_log"):
        newest_version(Refusing(error), Table("a/b"))


def test_an_error_of_another_kind_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        history(Refusing(ZeroDivisionError()), Table("a/b"))
