"""Submitted by a test: prints from where a Python worker imports lakebalance."""

from lakebalance import job


def where(batches):
    import lakebalance

    for batch in batches:
        yield batch.assign(path=lakebalance.__file__)[["path"]]


if __name__ == "__main__":
    print(job.session("where").range(1).mapInPandas(where, "path string").collect())
