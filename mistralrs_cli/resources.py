"""Files that ship with the package."""

from pathlib import Path

PACKAGE = Path(__file__).parent
DEMO_CHECKPOINT = PACKAGE / "demo"
