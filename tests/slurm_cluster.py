"""A SLURM of one node for tests: its daemons are started in a folder, and ended with the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "scontrol", "scancel", "sinfo")
_PATIENCE_S = 60


def why_not_here() -> str:
    """Say why no cluster can be started here; nothing if one can."""
    if sys.platform != "linux" or os.getuid() != 0:
        return "SLURM is started on Linux by root only"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True)
class Cluster:
    """A running one; `environment` makes the commands of SLURM find it."""

    folder: Path
    environment: dict[str, str]

    def ask(self, *words: str) -> str:
        return subprocess.run(
            words, check=True, capture_output=True, text=True, env=self.environment, timeout=60
        ).stdout

    def states_of(self, job: str) -> set[str]:
        """Return the states of all tasks of a job that the controller remembers."""
        told = self.ask("scontrol", "show", "job", job, "--oneliner")
        return {
            word.removeprefix("JobState=") for word in told.split() if word.startswith("JobState=")
        }

    def wait_for(self, job: str, seconds: float = 240) -> set[str]:
        """Wait until no task of a job waits or runs, and return how they ended."""
        deadline = time.monotonic() + seconds
        while (states := self.states_of(job)) & {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING"}:
            assert time.monotonic() < deadline, f"job {job} is still {states}"
            time.sleep(0.3)
        return states


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Start a cluster in a folder that all users may enter, and end it."""
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o711)
    (folder / "munge").chmod(0o711)
    configuration = folder / "slurm.conf"
    configuration.write_text(_configuration(folder))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    cluster = Cluster(folder, {**os.environ, "SLURM_CONF": str(configuration)})
    options = {
        "key-file": key,
        "socket": folder / "munge/socket",
        "pid-file": folder / "munged.pid",
        "log-file": folder / "munged.log",
        "seed-file": folder / "munge.seed",
    }
    try:
        cluster.ask("munged", "--force", *(f"--{name}={path}" for name, path in options.items()))
        cluster.ask("slurmctld", "-c")
        cluster.ask("slurmd", "-c")
        deadline = time.monotonic() + _PATIENCE_S
        while not _is_up(cluster):
            assert time.monotonic() < deadline, (folder / "slurmctld.log").read_text()[-2000:]
            time.sleep(0.3)
        yield cluster
    finally:
        for name in ("slurmctld", "slurmd", "munged"):
            pid = folder / f"{name}.pid"
            if pid.exists():
                subprocess.run(["kill", pid.read_text().strip()], check=False)


def _is_up(cluster: Cluster) -> bool:
    try:
        return "idle" in cluster.ask("sinfo", "--noheader", "--format=%T")
    except subprocess.CalledProcessError:
        return False


def _configuration(folder: Path) -> str:
    host = socket.gethostname().partition(".")[0]
    settings = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/munge/socket",
        "CryptoType": "crypto/munge",
        "SlurmctldPort": _free_port(),
        "SlurmdPort": _free_port(),
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldLogFile": folder / "slurmctld.log",
        "SlurmdLogFile": folder / "slurmd.log",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU",
        "ReturnToService": 2,
        "SchedulerParameters": "sched_interval=1,batch_sched_delay=0",
        "MinJobAge": 300,
        "KillWait": 10,
        "MaxArraySize": 101,
        "MaxJobCount": 50,
        "NodeName": f"{host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN",
        "PartitionName": f"main Nodes={host} Default=YES MaxTime=INFINITE State=UP",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
