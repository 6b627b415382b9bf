"""The page's pure modules, by Node's own test runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

from streams import board

PAGE = Path(board.__file__).with_name("page")


def test_pure_modules(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs Node.js")
    shutil.copytree(PAGE, tmp_path / "page")
    shutil.copy(Path(__file__).with_name("page") / "pure.test.mjs", tmp_path)
    # What a browser takes for modules by the tag that loads them, Node takes by this.
    (tmp_path / "package.json").write_text('{"type": "module"}')
    command = ["node", "--test", str(tmp_path / "pure.test.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
