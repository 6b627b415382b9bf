"""The programs in `deploy/senders.md`, so that what tests run is what senders read."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from streams.kafka import jars
from streams.kafka.local import _java

GUIDE = (Path(__file__).parents[1] / "deploy" / "senders.md").read_text("utf-8")
# The packaged Java runtime has no compiler; Eclipse's is one jar.
_COMPILER = jars.Jar(
    "org.eclipse.jdt", "ecj", "3.44.0", "14c46ddc2e511c46c998da728f6a80f13a689c920f3832402f7ad150f6a6188d"
)
_CLIENT = [jar for jar in jars.pinned() if jar.artifact in ("kafka-clients", "slf4j-api")]
# Each runs for a second or two: the quick compiler only.
_JAVA = (_java(None), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


def recipes() -> dict[str, str]:
    """Name of each file of the guide -> its text; fails for a block without a name."""
    blocks = re.findall(r"^```(\w*) ?(\S*)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert all(name for _, name, _ in blocks), "a block without a name is run by nobody"
    return {name: text for _, name, text in blocks}


def write_recipes(folder: Path) -> None:
    for name, text in recipes().items():
        (folder / name).write_text(text, "utf-8")


def console_producer(folder: Path) -> None:
    """`kafka-console-producer.sh` as a distribution of Kafka has it, made of the pinned jars."""
    script = folder / "kafka-console-producer.sh"
    words = " ".join([*_JAVA, "-cp", _path(jars.pinned()), "org.apache.kafka.tools.ConsoleProducer"])
    script.write_text(f'#!/bin/sh\nexec {words} "$@"\n', "utf-8")
    script.chmod(0o755)


def run_java(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Compile `name`.java of the folder, with warnings as errors, and run it there, with Kafka's client alone."""
    missing = [jar for jar in _CLIENT if f"{jar.artifact}-{jar.version}.jar" not in GUIDE]
    assert not missing, f"the guide names other jars than {missing}"
    compiled = ["-17", "-failOnWarning", "-cp", _path(_CLIENT), "-d", "classes", f"{name}.java"]
    done = _run(folder, *_JAVA, "-jar", _path([_COMPILER]), *compiled)
    assert done.returncode == 0, done.stdout + done.stderr
    return _run(folder, *_JAVA, "-cp", f"classes:{_path(_CLIENT)}", name, *arguments)


def _path(wanted: Sequence[jars.Jar]) -> str:
    return ":".join(map(str, jars.classpath(wanted)))


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
