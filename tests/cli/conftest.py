"""What the command `export` is tried on."""

from tests.serving.conftest import images

__all__ = ["images"]
