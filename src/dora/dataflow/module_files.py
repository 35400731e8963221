"""Reads module files: a header with ports, and nodes like those of a dataflow (dora dataflow-yaml, section 13).

Strategy: a file is read once, however often it is used, and what is wrong in it is said once, with places in that file.
Relative paths are rewritten to start in the dataflow's folder right after reading, so nobody else needs to know where a
module file stands.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dora.dataflow.descriptor import OutputSource
from dora.dataflow.document import YamlMap, parse_document
from dora.dataflow.fields import Fields, read_fields, unexpected
from dora.dataflow.files import Origin, read_text
from dora.dataflow.legacy import drop_anchors
from dora.dataflow.nodes import UNKNOWN, NodeDraft, read_nodes
from dora.dataflow.programs import DYNAMIC, SHELL, is_url
from dora.dataflow.report import Place, Report, shown
from dora.dataflow.schema import INTERPRETER_KEYS, MODULE_FILE_FIELDS
from dora.dataflow.timers import is_timer
from dora.errors import DescriptorError

PORTS: Final = "_mod"
"""What the nodes of a module call the node that uses it: `_mod/<input>`."""

MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class ModuleFile:
    """A module as its file states it.

    Attributes:
        path: relative to the dataflow's folder.
        at: where the header stands.
        inputs: whether each must be wired.
        outputs: where each is declared.
        drafts: its nodes; paths start in the dataflow's folder.
    """

    path: str
    name: str
    at: Place
    inputs: dict[str, bool]
    outputs: dict[str, Place]
    build: str | None = None
    drafts: list[NodeDraft] = field(default_factory=list)


class ModuleReader:
    """The module files of one dataflow."""

    def __init__(self, file: str, environ: Mapping[str, str], report: Report) -> None:
        """`file` is the dataflow."""
        self._folder = os.path.dirname(file)
        self._environ = environ
        self._report = report
        self._read: dict[str, ModuleFile | None] = {}

    def read(self, path: str, at: Place, subject: str) -> ModuleFile | None:
        """The module; None after a report.

        Args:
            path: relative to the dataflow's folder.
            at: where the file says so, for a module that cannot be read.
            subject: what messages call the node that uses it.
        """
        path = os.path.normpath(path)
        prefix = f"{subject}: module {shown(path)}"
        if os.path.isabs(path):
            self._report.error(at, f"{prefix}: expected a path relative to the file, found an absolute one")
            return None
        if is_outside(path):
            self._report.error(at, f"{prefix} is outside the folder of the dataflow", "move it below that folder")
            return None
        if path not in self._read:
            try:
                self._read[path] = self._read_file(path, Origin(at, f"{prefix}: ", self._name(path)))
            except DescriptorError:  # noted in the report; the rest of the dataflow is looked at all the same
                self._read[path] = None
        return self._read[path]

    def files(self) -> list[str]:
        """All that were read, as messages name them."""
        return [self._name(path) for path in self._read]

    def _name(self, path: str) -> str:
        return os.path.join(self._folder, path)

    def _read_file(self, path: str, origin: Origin) -> ModuleFile | None:
        report = self._report
        text = read_text(origin.file, report, origin, MAX_BYTES)
        root = parse_document(text, report, origin.file)
        whole = Place(0, 0, origin.file)
        if not isinstance(root, YamlMap):
            if root is None:
                raise report.fatal(whole, "expected a module with 'module' and 'nodes', found an empty file")
            unexpected(root, "module", "a mapping with 'module' and 'nodes'", report)
            return None
        drop_anchors(root)
        if "module" not in root.entries and "nodes" in root.entries:
            hint = "add `module: {name: <name>, inputs: [], outputs: []}`"
            raise report.fatal(whole, "expected a module file with a 'module' header, found a dataflow", hint)
        fields = read_fields(root, MODULE_FILE_FIELDS, "", report)
        header = fields.get("module")
        if not isinstance(header, Fields):
            return None
        drafts = read_nodes(root, self._environ, report)
        for draft in drafts:
            _rebase(draft, path, self._folder, report)
        module = ModuleFile(
            path=path,
            name=header.get("name", path),
            at=header.at,
            inputs=_inputs(header, report),
            outputs=_outputs(header, report),
            build=fields.get("build"),
            drafts=drafts,
        )
        _check_ports(module, header, report)
        return module


def _inputs(header: Fields, report: Report) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for key in ("inputs", "inputs_optional"):
        for port, at in header.get(key, []):
            if port in found:
                both = found[port] != (key == "inputs")
                text = f"module: input {shown(port)} is " + ("both required and optional" if both else "listed twice")
                report.error(at, text, "remove one")
            found[port] = key == "inputs"
    return found


def _outputs(header: Fields, report: Report) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for port, at in header.get("outputs", []):
        if port in found:
            report.error(at, f"module: output {shown(port)} is listed twice", "remove one")
        found.setdefault(port, at)
    return found


def _check_ports(module: ModuleFile, header: Fields, report: Report) -> None:
    """What the nodes read from `_mod` is declared, and what is declared is read."""
    read: set[str] = set()
    for draft in module.drafts:
        for entry in draft.inputs.values():
            if not isinstance(entry.source, OutputSource) or entry.source.node != PORTS:
                continue
            port = entry.source.output
            read.add(port)
            if port not in module.inputs:
                text = f"{entry.subject}: the module has no input {shown(port)}"
                hint = report.suggest(port, module.inputs) or "add it to the `inputs` of the module"
                report.error(entry.source_at, text, hint)
    if any(draft.kind == UNKNOWN for draft in module.drafts):
        return
    for key in ("inputs", "inputs_optional"):
        for port, at in header.get(key, []):
            if port not in read:
                report.warn(at, f"module: no node reads the input {shown(port)}", f"read it as `{PORTS}/{port}`")


def _rebase(draft: NodeDraft, module: str, root: str, report: Report) -> None:
    """Let the relative paths of a node start in the dataflow's folder `root` instead of the module's."""
    folder = os.path.dirname(module)

    def moved(path: str, at: Place, *, is_file: bool = False) -> str:
        if not (_is_moved(path, folder, root) or (is_file and not path.startswith(("/", "$")))):
            return path
        whole = os.path.normpath(os.path.join(folder, path))
        if is_outside(whole):
            text = f"{draft.subject}: {shown(path)} leaves the folder of the dataflow"
            report.error(at, text, "modules may only name files below it")
        return whole

    for operator in draft.operators:
        operator.source = moved(operator.source, operator.source_at)
    for key in ("module", "path", *INTERPRETER_KEYS):
        stated = draft.fields.stated.get(key)
        if stated is None or (key == "path" and "git" in draft.fields.stated):
            continue
        if key == "module":  # whether it leaves the folder is said by `ModuleReader.read`
            value = os.path.normpath(os.path.join(folder, stated.value))
        elif key in ("path", "venv") or "/" in stated.value:
            value = moved(stated.value, stated.at, is_file=key == "venv")
        else:
            value = stated.value
        draft.fields.stated[key] = stated._replace(value=value)


def is_outside(path: str) -> bool:
    """A normalised relative path leaves its folder."""
    return path == os.pardir or path.startswith(os.pardir + os.sep)


def _is_moved(path: str, folder: str, root: str) -> bool:
    """Whether a path means a file beside the module, and not a program on PATH or a word with its own meaning."""
    if path in ("", DYNAMIC, SHELL) or path.startswith(("/", "$")) or is_url(path) or is_timer(path):
        return False
    is_file_name = "/" in path or bool(os.path.splitext(path)[1])
    return is_file_name or os.path.exists(os.path.join(root, folder, path))
