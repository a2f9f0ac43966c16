"""A real standalone cluster on loopback: a master and workers as processes, and submissions."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pyspark

from lakebalance.core.delta import DELTA_SETTINGS

JOBS = Path(__file__).parents[2] / "jobs"
DELTA = f"io.delta:delta-spark_4.2_2.13:{version('delta-spark')}"
SPARK_HOME = Path(pyspark.__file__).parent
# The defaults of Delta and Java suit large and long jobs; with them a small one takes minutes.
# Without its second compiler, Java has room for 48 MB of compiled code, which is too little.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
SMALL = {
    "spark.driver.extraJavaOptions": QUICK_JAVA,
    "spark.executor.extraJavaOptions": QUICK_JAVA,
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.port": "0",
}


def environment(python=sys.executable, **variables):
    """The environment of a submission: loopback only, one Python, no lakebalance but named."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SPARK_REMOTE")}
    return {
        **inherited,
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_JAVA_OPTS": QUICK_JAVA,
        "PYSPARK_PYTHON": str(python),
        "PYSPARK_DRIVER_PYTHON": str(python),
        **{name: str(value) for name, value in variables.items()},
    }


def submission(script, *args, master="local[1]", options=("--packages", DELTA), conf=None):
    """The command line of a spark-submit, with Delta unless options say otherwise."""
    settings = [f"--conf={name}={value}" for name, value in {**SMALL, **(conf or {})}.items()]
    command = [SPARK_HOME / "bin" / "spark-submit", "--master", master]
    command += ["--properties-file", JOBS.parent / "conf" / "small-cluster.conf"]
    return [str(part) for part in (*command, *settings, *options, script, *args)]


class Process:
    """A process in a group of its own, so that what it starts ends with it."""

    def __init__(self, command, env, log):
        self.log = log
        self.out = log.with_suffix(".out")
        with log.open("w") as err, self.out.open("w") as out:
            self.popen = subprocess.Popen(
                command, env=env, stdout=out, stderr=err, cwd=log.parent, start_new_session=True
            )

    @property
    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        """Send a signal to the process and its children."""
        os.killpg(self.popen.pid, number)

    def stop(self):
        """End the process if it still runs, and what may be left of its group."""
        if self.running:
            self.popen.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def finish(self, timeout=180):
        """Wait for the end: (exit code, standard output, standard error)."""
        try:
            code = self.popen.wait(timeout)
        finally:
            self.stop()
        return code, self.out.read_text(), self.log.read_text()

    def wait_for(self, pattern, timeout=60):
        """The match of a pattern in what the process has logged."""
        return until(lambda: re.search(pattern, self.log.read_text()), self, timeout)


def connect_variables():
    """The variables with which a process has a session of Spark Connect and a server for it."""
    options = submission("", conf=DELTA_SETTINGS)[3:-1]
    return {
        "PYSPARK_SUBMIT_ARGS": " ".join([*map(shlex.quote, options), "pyspark-shell"]),
        "SPARK_REMOTE": "local[2]",
        "SPARK_TESTING": "1",  # which lets the server take a free port
    }


def over_connect(module, folder):
    """What a module prints as JSON when it is a script in a session of Spark Connect."""
    env = environment(**connect_variables())
    job = Process([sys.executable, module.__file__], env, folder / "job.log")
    code, out, err = job.finish(300)
    assert code == 0, err[-3000:]
    return json.loads(out)


def until(found, process, timeout=60):
    """Ask until the answer is true, while the process runs."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if answer := found():
            return answer
        if not process.running:
            break
        time.sleep(0.05)
    raise AssertionError(f"never came; the log ends with:\n{process.log.read_text()[-3000:]}")


def fetch(url):
    """The JSON of one of Spark's own pages; None while it isn't there yet."""
    try:
        with urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (URLError, ConnectionError, TimeoutError, ValueError):
        return None


class Cluster:
    """A master and two workers with one core each."""

    def __init__(self, folder, env):
        self.folder, self.env = folder, env
        self.processes = []
        self.workers = {}
        master = self._start(
            "master", "master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0"
        )
        self.url = master.wait_for(r"Starting Spark master at (spark://\S+)")[1]
        while len(self.workers) < 2:
            self.add_worker()

    def add_worker(self):
        """Start a worker, and wait until the master has it."""
        name = f"worker{len(self.processes)}"
        worker = self._start(
            name,
            "worker.Worker",
            "--host",
            "127.0.0.1",
            "--webui-port",
            "0",
            "-c",
            "1",
            "-m",
            "1500M",
            "-d",
            str(self.folder / name),
            self.url,
        )
        worker.wait_for("Successfully registered with master")
        port = worker.wait_for(r"WorkerWebUI.* started at http://\S+:(\d+)")[1]
        # An executor's log is shown by its worker: so its address tells whose it is.
        self.workers[f"http://127.0.0.1:{port}"] = worker

    def submit(self, script, *args, **kwargs):
        """Start a spark-submit to this cluster."""
        command = submission(script, *args, master=self.url, **kwargs)
        return self._add(f"submit{len(self.processes)}", command)

    def stop(self):
        """End all that was started here."""
        for process in reversed(self.processes):
            process.stop()

    def _start(self, name, kind, *args):
        launcher = str(SPARK_HOME / "bin" / "spark-class")
        return self._add(name, [launcher, f"org.apache.spark.deploy.{kind}", *args])

    def _add(self, name, command):
        process = Process(command, self.env, self.folder / f"{name}.log")
        self.processes.append(process)
        return process
