"""XML from strangers is read without document types, entities, deep nesting or anything but UTF-8."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import medbench
from medbench_datasets.readers.xml import MAX_DEPTH, Element, read_xml


def written(folder: Path, content: bytes) -> Path:
    path = folder / "1.xml"
    path.write_bytes(content)
    return path


def test_elements_keep_their_order_text_and_nesting(tmp_path: Path) -> None:
    path = written(tmp_path, b"<case>\n <number> 7 </number><mark><image>1</image></mark><mark/><age></age></case>")

    case = read_xml(path)

    assert (case.tag, case.text) == ("case", "")
    assert case.text_of("number") == "7"
    assert case.text_of("age") == case.text_of("absent") == ""
    assert case.all("mark") == (Element("mark", "", (Element("image", "1"),)), Element("mark"))


def test_predefined_entities_and_characters_beyond_ascii_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, '<?xml version="1.0" encoding="UTF-8"?><a>&lt;1&amp;&#233; ñ</a>'.encode())

    assert read_xml(path).text == "<1&é ñ"


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    assert read_xml(written(tmp_path, b"\xef\xbb\xbf<a>1</a>")).text == "1"


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
        '<!DOCTYPE a [<!ENTITY l "ha"><!ENTITY m "&l;&l;&l;&l;&l;&l;&l;&l;"><!ENTITY x "&m;&m;&m;&m;&m;&m;&m;&m;">]>',
        "<!DOCTYPE html>",
    ],
)
def test_a_document_type_is_forbidden(tmp_path: Path, head: str) -> None:
    with pytest.raises(medbench.DataError, match=r"^1\.xml has a DOCTYPE, which is forbidden; "):
        read_xml(written(tmp_path, f"{head}<a>&x;</a>".encode()))


def test_an_entity_nobody_declared_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(medbench.DataError, match="not well-formed"):
        read_xml(written(tmp_path, b"<a>&x;</a>"))


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
def test_deep_nesting_is_refused(tmp_path: Path, depth: int) -> None:
    with pytest.raises(medbench.DataError, match=r"^1\.xml nests more than 32 elements"):
        read_xml(written(tmp_path, b"<a>" * depth + b"</a>" * depth))


def test_nesting_to_the_limit_is_read(tmp_path: Path) -> None:
    element = read_xml(written(tmp_path, b"<a>" * MAX_DEPTH + b"x" + b"</a>" * MAX_DEPTH))

    for _ in range(MAX_DEPTH - 1):
        (element,) = element.children
    assert element.text == "x"


def test_a_large_file_is_refused_without_being_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "1.xml"
    with path.open("wb") as file:
        file.truncate(50_000_000_000)  # sparse
    start = time.monotonic()

    with pytest.raises(medbench.DataError, match=r"^1\.xml is larger than 1 MB; "):
        read_xml(path)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        ("<a>é</a>".encode("latin-1"), "not UTF-8 from byte 3"),
        ("<a>1</a>".encode("utf-16"), "NUL"),
        (b"<a>1\0</a>", "NUL"),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><a/>', "declares another encoding"),
        (b"<a><b></a>", "not well-formed XML at line 1"),
        (b"<a>\n<b>", "not well-formed XML at line 2"),
        (b"text", "not well-formed"),
        (b"<a/><b/>", "not well-formed"),
    ],
)
def test_other_faults_name_the_file_and_a_fix(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(medbench.DataError, match=rf"^1\.xml .*{words}.*; "):
        read_xml(written(tmp_path, content))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.xml", tmp_path):
        with pytest.raises(medbench.DataError, match="missing or no ordinary file"):
            read_xml(path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([b"<a>", b"</a>", b"<!", b"<?", b"&", b"x", b"]]>", b"<![CDATA[", b"\xff", b"\n"])))
def test_any_bytes_give_an_element_or_a_data_error(tmp_path: Path, parts: list[bytes]) -> None:
    with contextlib.suppress(medbench.DataError):
        assert read_xml(written(tmp_path, b"<a>" + b"".join(parts) + b"</a>")).tag == "a"
