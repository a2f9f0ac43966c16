"""Times contestants in turns, and reads what they cost in memory, shuffle and spill."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from pyspark.sql import SparkSession

MIB = 2**20


@dataclass
class Cost:
    """What Spark says of the jobs of one contestant, and the processor time of all threads."""

    shuffled: int = 0
    spilled: int = 0
    task_memory: int = 0
    cpu: float = 0.0


@dataclass
class Timings:
    """Seconds of a contestant's repeats, by name of the part timed."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)
    proofs: set[str] = field(default_factory=set)

    def add(self, parts: dict[str, float], cost: Cost) -> None:
        """Take in one repeat."""
        for name, seconds in parts.items():
            self.seconds.setdefault(name, []).append(seconds)
        self.costs.append(cost)

    def median(self, part: str = "") -> float:
        """The median of a part; the whole contestant is the part without a name."""
        return median(self.seconds[part])


def timed(
    spark: SparkSession, action: Callable[[], dict[str, float]]
) -> tuple[dict[str, float], Cost]:
    """Run once: seconds of the whole and of the parts that the action names, and its cost."""
    # Whoever comes next should not pay for the garbage of the one before.
    spark.sparkContext._jvm.System.gc()
    before = _stages(spark)
    cpu = _cpu_seconds(spark)
    start = time.perf_counter()
    parts = action()
    whole = time.perf_counter() - start
    cpu = _cpu_seconds(spark) - cpu
    cost = _cost(spark, _stages(spark).keys() - before.keys())
    cost.cpu = cpu
    return {"": whole, **parts}, cost


def _cpu_seconds(spark: SparkSession) -> float:
    """Processor time so far of the driver's JVM and of this process, where DuckDB runs.

    On a machine that others use too it says more than the seconds on the clock.
    """
    stat = _proc(spark) / "stat"
    if not stat.exists():
        return time.process_time()
    fields = stat.read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])  # user and system, see proc(5)
    return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()


def _proc(spark: SparkSession) -> Path:
    return Path(f"/proc/{spark.sparkContext._jvm.ProcessHandle.current().pid()}")


def _stages(spark: SparkSession) -> dict[tuple[int, int], object]:
    sc = spark.sparkContext
    listed = (
        sc._jsc.sc()
        .statusStore()
        .stageList(None, False, False, sc._gateway.new_array(sc._jvm.double, 0), None)
    )
    found = [listed.apply(i) for i in range(listed.size())]
    return {(stage.stageId(), stage.attemptId()): stage for stage in found}


def _cost(spark: SparkSession, new: Iterable[tuple[int, int]]) -> Cost:
    stages = _stages(spark)
    cost = Cost()
    for key in new:
        stage = stages[key]
        cost.shuffled += stage.shuffleWriteBytes()
        cost.spilled += stage.diskBytesSpilled()
        cost.task_memory = max(cost.task_memory, _task_memory(spark, *key))
    return cost


def _task_memory(spark: SparkSession, stage: int, attempt: int) -> int:
    """The most memory that one task of a stage held for sorts, joins and aggregations."""
    sc = spark.sparkContext
    highest = sc._gateway.new_array(sc._jvm.double, 1)
    highest[0] = 1.0
    summary = sc._jsc.sc().statusStore().taskSummary(stage, attempt, highest)
    return int(summary.get().peakExecutionMemory().apply(0)) if summary.isDefined() else 0


def jvm_peak(spark: SparkSession) -> int | None:
    """The peak of the driver JVM's resident memory in bytes; None where /proc is not there."""
    status = _proc(spark) / "status"
    if not status.exists():
        return None
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024
