"""What users read, as one text: the README, and the pages whose tables tests compare with the code."""

from pathlib import Path


ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TEXT = "\n".join([README, *((ROOT / "docs" / name).read_text() for name in ("observing.md", "pushes.md"))])
