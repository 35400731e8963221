"""The standard library of types: what `std/<category>/v1/<Name>` stands for (dora dataflow-yaml, section 14)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

STRUCT: Final = "Struct"


class TypeField(NamedTuple):
    """One field of a structure.

    Attributes:
        type: an Arrow name, the name of another type, or `List<...>`.
    """

    name: str
    type: str
    is_nullable: bool = True


class Type(NamedTuple):
    """A type that outputs and inputs may state.

    Attributes:
        urn: its full name, without parameters.
        arrow: the name of its Arrow type, or `Struct`.
        params: defaults by name; None where there is none.
        metadata: keys that go with each message of this type.
    """

    urn: str
    arrow: str
    fields: tuple[TypeField, ...] = ()
    params: Mapping[str, str | None] = MappingProxyType({})
    description: str | None = None
    metadata: tuple[str, ...] = ()


_NUMBERS: Final = (
    *("Float32", "Float64", "Int8", "Int16", "Int32", "Int64"),
    *("UInt8", "UInt16", "UInt32", "UInt64"),
)
_STRUCTURES: Final = {
    "math": {
        "Vector3": "x: Float64, y: Float64, z: Float64",
        "Quaternion": "x: Float64, y: Float64, z: Float64, w: Float64",
        "Pose": "position: Vector3, orientation: Quaternion",
        "Transform": "translation: Vector3, rotation: Quaternion",
    },
    "control": {
        "Twist": "linear: Vector3, angular: Vector3",
        "JointState": "names: List<Utf8>, positions: List<Float64>, velocities: List<Float64>, efforts: List<Float64>",
        "Odometry": "pose: Pose, twist: Twist, frame_id: Utf8",
    },
    "media": {
        "Image": "width: UInt32, height: UInt32, encoding: Utf8, data: LargeBinary",
        "PointCloud": "points: LargeBinary, width: UInt32, height: UInt32",
        "AudioFrame": "sample_rate: UInt32, channels: UInt32, data: LargeBinary",
    },
    "vision": {
        "BoundingBox": "x: Float32, y: Float32, width: Float32, height: Float32, confidence: Float32, label: Utf8",
        "Detection": "boxes: List<BoundingBox>",
        "Segmentation": (
            "width: UInt32, height: UInt32, num_classes: UInt32, mask: LargeBinary, class_names: List<Utf8>"
        ),
    },
}
_PARAMS: Final = {"std/media/v1/AudioFrame": {"sample_type": "f32"}}

BOOL: Final = "std/core/v1/Bool"
BYTES: Final = "std/core/v1/Bytes"
STRING: Final = "std/core/v1/String"
TICK: Final = "std/core/v1/UInt64"
"""What a timer sends."""


def _library() -> dict[str, Type]:
    found = [Type(BOOL, "Bool"), Type(BYTES, "LargeBinary"), Type(STRING, "Utf8")]
    found += [Type(f"std/core/v1/{name}", name) for name in _NUMBERS]
    found.append(Type("std/media/v1/CompressedImage", "LargeBinary"))
    for category, structures in _STRUCTURES.items():
        for name, text in structures.items():
            urn = f"std/{category}/v1/{name}"
            pairs = (part.split(": ") for part in text.split(", "))
            fields = tuple(TypeField(field_name, type_name) for field_name, type_name in pairs)
            found.append(Type(urn, STRUCT, fields, _PARAMS.get(urn, {})))
    return {each.urn: each for each in found}


STANDARD_TYPES: Final[Mapping[str, Type]] = MappingProxyType(_library())

WIDENINGS: Final = tuple(
    (f"std/core/v1/{narrow}", f"std/core/v1/{wide}")
    for narrow, wide in (("UInt8", "UInt32"), ("UInt32", "UInt64"), ("Int32", "Int64"), ("Float32", "Float64"))
)
"""What may feed what without being the same type."""

ARROW_NAMES: Final = frozenset(
    {
        *_NUMBERS,
        *("Null", "Bool", "Float16", "Utf8", "LargeUtf8", "Binary", "LargeBinary", "Date32", "Date64"),
        *("Time32", "Time64", "Timestamp", "Duration", "Struct", "List", "LargeList"),
    }
)

_ACCEPTED: Final = {
    "Bool": ("bool",),
    "Float32": ("float",),
    "Float64": ("double",),
    "LargeBinary": ("large_binary", "binary", "binary_view", "uint8"),
    "Utf8": ("string", "large_string", "string_view"),
}


def accepted_arrow_types(urn: str) -> tuple[str, ...]:
    """Names of the Arrow types (as pyarrow writes them) that a message of a core type may have; empty for others.

    Text and bytes come in several layouts, which mean the same to a reader; `send_output` with `bytes` sends `uint8`.
    """
    known = STANDARD_TYPES.get(urn)
    if known is None or known.arrow == STRUCT or not urn.startswith("std/core/"):
        return ()
    return _ACCEPTED.get(known.arrow, (known.arrow.lower(),))
