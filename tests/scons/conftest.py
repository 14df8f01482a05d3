"""A fresh SCons project for each test."""

from pathlib import Path

import pytest

from tests.support.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return an empty project; what it caches lies beside it."""
    return Project(tmp_path / "project")
