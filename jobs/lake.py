"""Find redundant tables of a lake, and remove or restore them, on the cluster of spark-submit.

spark-submit --packages io.delta:delta-spark_4.2_2.13:4.4.0 jobs/lake.py scan LAKE --state STATE
"""

import sys

from lakebalance import lake_job

if __name__ == "__main__":
    sys.exit(lake_job.run(lake_job.parser(__doc__).parse_args()))
