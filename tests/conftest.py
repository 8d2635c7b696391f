"""What tests share: flags, real metadata where it is present, and the demo medium, made once."""

import os
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="Write golden files anew instead of comparing.")


@pytest.fixture(scope="session")
def real_metadata() -> Path:
    """A folder of real CentOS metadata (`repos`, `comps`, `trees`, `keys`), never part of this project."""
    folder = os.environ.get("ISOBUILDER_REAL_METADATA")
    if not folder:
        pytest.skip("ISOBUILDER_REAL_METADATA is not set: real CentOS metadata is not tested")
    return Path(folder)
