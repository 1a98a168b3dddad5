"""Small XML files from strangers: no document types, no entities, bounded depth and size."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from medbench import DataError

MAX_BYTES = 1_000_000  # the largest real file has 7 kB
MAX_DEPTH = 32


@dataclass(frozen=True)
class Element:
    """One element.

    Attributes:
        tag: Its name.
        text: What stands directly in it, without the white space around it; "" where there is nothing.
        children: The elements in it, in order.
    """

    tag: str
    text: str = ""
    children: tuple[Element, ...] = ()

    def all(self, tag: str) -> tuple[Element, ...]:
        """Return the children of that name."""
        return tuple(child for child in self.children if child.tag == tag)

    def text_of(self, tag: str) -> str:
        """Return the text of the first child of that name, "" where there is none."""
        return next((child.text for child in self.children if child.tag == tag), "")


def read_xml(path: Path) -> Element:
    """Read a whole XML file in UTF-8; a byte-order mark is accepted.

    Returns:
        The outermost element.

    Raises:
        DataError: Where the file is absent, empty, larger than 1 MB, not UTF-8, not well-formed, nested deeper than
            32 elements, or has a document type, whose entities could expand without bound or reach other files.
    """
    name = ascii(path.name)[1:-1]
    content = _content(path, name)
    open_elements: list[_Open] = [_Open("")]

    # The text was found to be UTF-8, so what the file declares about itself must not change how it is read.
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True

    def refuse_document_type(*_: object) -> None:
        raise DataError(f"{name} has a DOCTYPE, which is forbidden; take it out, or fetch the file again")

    def check_declaration(version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
            raise DataError(f"{name} declares another encoding than UTF-8; save it as UTF-8")

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > MAX_DEPTH:
            raise DataError(f"{name} nests more than {MAX_DEPTH} elements; fetch the file again")
        open_elements.append(_Open(tag))

    def end(tag: str) -> None:
        closed = open_elements.pop()
        open_elements[-1].children.append(Element(tag, "".join(closed.text).strip(), tuple(closed.children)))

    def text(data: str) -> None:
        open_elements[-1].text.append(data)

    parser.StartDoctypeDeclHandler = refuse_document_type
    parser.XmlDeclHandler = check_declaration
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise DataError(f"{name} is not well-formed XML at line {error.lineno}; fetch the file again") from None
    return open_elements[0].children[0]


@dataclass
class _Open:
    tag: str
    text: list[str] = field(default_factory=list)
    children: list[Element] = field(default_factory=list)


def _content(path: Path, name: str) -> bytes:
    if not path.is_file():
        raise DataError(f"{name} is missing or no ordinary file; put it back or fetch the data set again")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError:
        raise DataError(f"{name} cannot be opened; make it readable") from None
    if not content:
        raise DataError(f"{name} has 0 bytes; fetch it again")
    if len(content) > MAX_BYTES:
        raise DataError(f"{name} is larger than {MAX_BYTES // 10**6} MB; fetch it again")
    if b"\0" in content:
        raise DataError(f"{name} holds NUL bytes, expected UTF-8; save it as UTF-8 or fetch it again")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8 from byte {error.start} on; save it as UTF-8 or fetch it again") from None
    return content.removeprefix(b"\xef\xbb\xbf")
