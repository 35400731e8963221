"""Types that users define: every YAML file below `types/` beside the dataflow (dora dataflow-yaml, section 14).

Strategy: the files are only looked for when the dataflow states types.  `types/my/sensors/v1.yml` with the type `Scan`
defines `my/sensors/v1/Scan`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from dora.dataflow.document import YamlMap, parse_document
from dora.dataflow.fields import Fields, Stated, items_of, read_fields
from dora.dataflow.files import Origin, read_text
from dora.dataflow.legacy import drop_anchors
from dora.dataflow.report import Place, Report, shown
from dora.dataflow.schema import TYPES_FILE_FIELDS
from dora.dataflow.std_types import Type, TypeField
from dora.dataflow.types import TypeLibrary
from dora.errors import DescriptorError

FOLDER: Final = "types"
MAX_FILES: Final = 1000

Found = tuple[Type, Fields]


def read_user_types(file: str, report: Report) -> list[Type]:
    """All types that stand beside the dataflow `file`; what is wrong with them is in the report."""
    root = os.path.join(os.path.dirname(file), FOLDER)
    if not os.path.isdir(root):
        return []
    found: list[Found] = []
    for name in _files(root):
        path = os.path.join(root, name)
        try:
            found += _read_file(path, os.path.splitext(name)[0].replace(os.sep, "/"), report)
        except DescriptorError:  # noted in the report; the other files are read all the same
            continue
    types = [each for each, _ in found]
    library = TypeLibrary(types)
    for each, fields in found:
        _check_fields(each, fields, library, report)
    return types


def _files(root: str) -> Iterator[str]:
    count = 0
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            if name.endswith((".yml", ".yaml")) and count < MAX_FILES:
                count += 1
                yield os.path.relpath(os.path.join(folder, name), root)


def _read_file(path: str, prefix: str, report: Report) -> list[Found]:
    whole = Place(0, 0, path)
    root = parse_document(read_text(path, report, Origin(whole, "", path)), report, path)
    if not isinstance(root, YamlMap) or "types" not in root.entries:
        raise report.fatal(whole, "expected a mapping with 'types'", "add `types: {Name: {arrow: Float32}}`")
    if prefix == "std" or prefix.startswith("std/"):
        raise report.fatal(whole, "names that start with std/ are those of dora", "rename the file")
    drop_anchors(root)
    stated: dict[str, Stated] = read_fields(root, TYPES_FILE_FIELDS, "", report).get("types", {})
    return [(_type(f"{prefix}/{name}", entry.value), entry.value) for name, entry in stated.items()]


def _type(urn: str, fields: Fields) -> Type:
    return Type(
        urn=urn,
        arrow=fields.get("arrow", ""),
        fields=tuple(
            TypeField(each.get("name", ""), each.get("type", ""), each.get("nullable", True))
            for each, _ in fields.get("fields", [])
        ),
        params={each.get("name", ""): each.get("default") for each, _ in fields.get("params", [])},
        description=fields.get("description"),
        metadata=items_of(fields.get("metadata")) or (),
    )


def _check_fields(each: Type, fields: Fields, library: TypeLibrary, report: Report) -> None:
    stated: list[tuple[Fields, Place]] = fields.get("fields", [])
    for entry, (_, at) in zip(each.fields, stated, strict=True):
        fault = library.field_fault(entry) if entry.type else None
        if fault is not None:
            report.error(at, f"type {shown(each.urn)}: field {shown(entry.name)}: {fault}")
