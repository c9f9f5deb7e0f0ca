"""Texts: files and folders read, cut into training, validation and test, and into tokens."""

from farzi.data.text.bytes import Bytes
from farzi.data.text.files import Texts, read_texts
from farzi.data.text.layout import Documents, Layout, Running, Sentences
from farzi.data.text.parts import ByPosition
from farzi.data.text.passages import Passages
from farzi.data.text.subwords import Subwords
from farzi.data.text.text import Text
from farzi.data.text.tokens import Fitted, Tokenizer
from farzi.data.text.words import Words, marks, spaces

__all__ = [
    "ByPosition",
    "Bytes",
    "Documents",
    "Fitted",
    "Layout",
    "Passages",
    "Running",
    "Sentences",
    "Subwords",
    "Text",
    "Texts",
    "Tokenizer",
    "Words",
    "marks",
    "read_texts",
    "spaces",
]
