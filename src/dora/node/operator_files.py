"""The Python files of operators as modules: imported once, and read anew when they were saved.

Strategy: a file is executed from its source, never from bytecode: a save within the second, with the same size, would
otherwise go unseen.  A new version is executed in a module of its own, and takes the place of the old one only when it
has come to its end, so the operator that runs keeps the globals it was made with.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import linecache
import os
import sys
from types import ModuleType

_loaded: dict[str, ModuleType] = {}


def import_file(file: str) -> ModuleType:
    """The module of that file, however many operators it has; its folder is appended to `sys.path`.

    Raises whatever the file raises.
    """
    path = os.path.abspath(file)
    module = _loaded.get(path)
    if module is None:
        folder = os.path.dirname(path)
        if folder not in sys.path:
            sys.path.append(folder)
        module = _loaded[path] = _execute(path, _free_name(path))
    return module


def import_anew(file: str) -> ModuleType:
    """The module of that file as it is now; if it raises, everything stays as it was."""
    path = os.path.abspath(file)
    linecache.checkcache(path)
    module = _loaded[path] = _execute(path, _loaded[path].__name__)
    return module


def _free_name(path: str) -> str:
    """The stem of the file, unless that is the name of a module that others may want (or of another operator)."""
    stem = os.path.splitext(os.path.basename(path))[0]
    name, number = stem, 1
    while name in sys.modules or name in sys.stdlib_module_names:
        number += 1
        name = f"{stem}_{number}"
    return name


def _execute(path: str, name: str) -> ModuleType:
    with open(path, "rb") as file:
        source = file.read()
    loader = importlib.machinery.SourceFileLoader(name, path)
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None  # there is a loader
    module = importlib.util.module_from_spec(spec)
    former = sys.modules.get(name)
    sys.modules[name] = module
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        if former is None:
            del sys.modules[name]
        else:
            sys.modules[name] = former
        raise
    return module
