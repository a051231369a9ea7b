"""YAML front matter, read strictly and edited byte-exactly. The rules are in `docs/FORMAT.md`, section 4."""

from .document import Document, FrontMatterError, Value, split
from .edit import edited

__all__ = ["Document", "FrontMatterError", "Value", "edited", "split"]
