"""Names of types, and which type may feed which."""

from __future__ import annotations

import pytest

from dora.dataflow.std_types import STANDARD_TYPES, Type, TypeField, accepted_arrow_types
from dora.dataflow.types import TypeLibrary, TypeUse, parse_use

CORE = "std/core/v1"


def use(text: str) -> TypeUse:
    found = parse_use(text)
    assert found is not None
    return found


def test_type_may_state_parameters() -> None:
    assert use("a/b/C[k=v, l=2]") == TypeUse("a/b/C", {"k": "v", "l": "2"})
    assert str(use("a/b/C[k=v, l=2]")) == "a/b/C[k=v,l=2]"


@pytest.mark.parametrize("text", ["", "a b", "a[", "a]", "a[k]", "a[k=]", "a[k=v,k=w]", "a[k=v]x", "[k=v]"])
def test_text_that_names_no_type_is_none(text: str) -> None:
    assert parse_use(text) is None


def test_standard_library_has_five_categories() -> None:
    assert {urn.split("/")[1] for urn in STANDARD_TYPES} == {"core", "math", "control", "media", "vision"}
    assert len(STANDARD_TYPES) == 27


def test_every_field_of_the_standard_library_has_a_type() -> None:
    library = TypeLibrary()
    faults = [library.field_fault(entry) for each in STANDARD_TYPES.values() for entry in each.fields]
    assert faults
    assert not any(faults)


FEEDS = [
    ("UInt8", "UInt8", True),
    ("UInt8", "UInt32", True),
    ("UInt8", "UInt64", True),
    ("UInt64", "UInt8", False),
    ("Int32", "Int64", True),
    ("Float32", "Float64", True),
    ("Int8", "Int16", False),
    ("UInt16", "UInt32", False),
    ("Int64", "Float64", False),
    ("String", "Bytes", True),
    ("Bytes", "String", False),
]


@pytest.mark.parametrize(("sent", "expected", "may_feed"), FEEDS)
def test_types_feed_wider_types_and_bytes(sent: str, expected: str, may_feed: bool) -> None:
    assert TypeLibrary().may_feed(use(f"{CORE}/{sent}"), use(f"{CORE}/{expected}")) is may_feed


@pytest.mark.parametrize(
    ("sent", "expected", "may_feed"),
    [("[a=1]", "[a=1]", True), ("[a=1]", "[a=2]", False), ("", "[a=2]", True), ("[a=1]", "[b=2]", True)],
)
def test_parameters_must_agree_where_both_state_them(sent: str, expected: str, may_feed: bool) -> None:
    assert TypeLibrary().may_feed(use(f"x/T{sent}"), use(f"x/T{expected}")) is may_feed


def test_rules_are_followed_over_three_steps() -> None:
    library = TypeLibrary(rules=[("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")])
    assert library.may_feed(use("a"), use("d"))
    assert not library.may_feed(use("a"), use("e"))


def test_same_arrow_type_under_another_name_does_not_fit() -> None:
    library = TypeLibrary([Type("x/A", "Float32"), Type("x/B", "Float32")])
    assert not library.may_feed(use("x/A"), use("x/B"))


def test_type_is_found_by_the_end_of_its_name_if_that_is_unique() -> None:
    library = TypeLibrary([Type("x/Image", "UInt8")])
    assert library.find("Twist") == STANDARD_TYPES["std/control/v1/Twist"]
    assert library.find("Image") is None


def test_structures_are_compared_field_by_field() -> None:
    a = Type("x/A", "Struct", (TypeField("x", "Float32"), TypeField("y", "Float32")))
    b = Type("x/B", "Struct", (TypeField("y", "Float64"), TypeField("z", "Utf8")))
    text = TypeLibrary([a, b]).difference(use("x/A"), use("x/B"))
    assert text == "field 'z' is missing, field 'y' is Float32 instead of Float64"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Float32", None),
        ("Vector3", None),
        ("std/math/v1/Pose", None),
        ("List<" * 8 + "Utf8" + ">" * 8, None),
        ("List<" * 9 + "Utf8" + ">" * 9, "lists are nested more than 8 levels deep"),
        ("Flot32", "there is no type 'Flot32'"),
        ("List<>", "there is no type 'List<>'"),
    ],
)
def test_field_has_a_known_type(text: str, fault: str | None) -> None:
    assert TypeLibrary().field_fault(TypeField("f", text)) == fault


def test_messages_of_core_types_have_arrow_types() -> None:
    assert accepted_arrow_types(f"{CORE}/Float64") == ("double",)
    assert accepted_arrow_types(f"{CORE}/UInt16") == ("uint16",)
    assert "uint8" in accepted_arrow_types(f"{CORE}/Bytes")
    assert accepted_arrow_types("std/media/v1/CompressedImage") == ()
    assert accepted_arrow_types("x/Own") == ()
