"""What integration tests share beyond the pipeline."""

from collections.abc import Iterator

import pytest
import secured as broker


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[broker.Secured]:
    with broker.running(tmp_path_factory.mktemp("secured")) as started:
        yield started
