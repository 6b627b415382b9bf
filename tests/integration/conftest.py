"""The pipeline of an integration test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Pipeline, quick, running

from streams.settings import Settings


@pytest.fixture
def pipeline(pipeline_settings: Settings, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline of one test; its processes are for the test to start."""
    with running(quick(pipeline_settings), tmp_path / "logs") as started:
        yield started


@pytest.fixture(scope="module")
def module_pipeline(
    module_pipeline_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """A pipeline that the tests of one module share: each takes subjects of its own."""
    with running(quick(module_pipeline_settings), tmp_path_factory.mktemp("logs")) as started:
        yield started
