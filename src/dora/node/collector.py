"""What Python's garbage collector leaves alone in a node, so that the node ends sooner, and when it must not.

Strategy: what was imported before `Node` stays out of every collection (`gc.freeze`): the one at exit would take apart
all of pyarrow and numpy, 40 to 60 ms of CPU in each node, and a Ctrl-C waits for it.  But the globals of the script and
of modules that it imported earlier are frozen with it, and then nothing in them is finalized: a file that was not
closed is not flushed, a video not completed, `__del__` not called.  So at exit, after all other `atexit` functions, the
globals of all modules but Python's own and those that dora needs are looked through: if there is anything in them
besides plain data, code and what dora gave, the collector gets everything back, and Python ends as it always does.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import enum
import gc
import re
import sys
import types
from collections import namedtuple
from collections.abc import Iterable, Iterator
from typing import Any, Final

_OURS: Final = frozenset({"dora", "numpy", "pyarrow", "msgspec", "_distutils_hack", "typing_extensions", "dateutil"})
"""packages whose globals and whose objects need no finalizer; pyarrow imports dateutil if it is there"""
_TUPLE_FIELD: Final = type(vars(namedtuple("_One", "field"))["field"])
_PLAIN: Final = (
    *(type(None), bool, int, float, complex, str, bytes, bytearray, range, slice, type(...), type(NotImplemented)),
    *(types.ModuleType, types.BuiltinFunctionType, types.CodeType, types.GenericAlias, types.UnionType, re.Pattern),
    *(types.GetSetDescriptorType, types.MemberDescriptorType, types.WrapperDescriptorType, types.MethodDescriptorType),
    *(types.ClassMethodDescriptorType, types.MethodWrapperType, enum.Enum, datetime.date, datetime.time),
    *(datetime.timedelta, datetime.tzinfo, _TUPLE_FIELD),
)
_PLAIN_TYPES: Final = frozenset(_PLAIN)
_CONTAINERS: Final = (tuple, list, set, frozenset, dict)
_PLAIN_MODULES: Final = frozenset(
    {"typing", "pathlib", "logging", "__future__", "_abc", "dataclasses", "threading", "_thread", "weakref", "decimal"}
    | {"_frozen_importlib", "_frozen_importlib_external", "importlib.machinery", "typing_extensions", "pathlib._local"}
)
"""where types are from whose objects hold nothing of the user's that must be finalized"""
_MOST_OBJECTS: Final = 20_000
"""with more than that, looking would take longer than it saves"""


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """While modules load: they are no garbage, and looking for some takes a tenth of the time of pyarrow."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def leave_alone_what_is_imported() -> None:
    """Keep the objects that are here now out of every collection, unless one of them must be finalized at exit."""
    gc.freeze()
    atexit.register(_give_back_if_needed)


def _give_back_if_needed() -> None:
    if not all_plain(_users_globals()):
        gc.unfreeze()


def _users_globals() -> Iterator[Any]:
    for module in _users_modules():
        yield from (value for name, value in list(vars(module).items()) if name != "__builtins__")


def _users_modules() -> Iterator[types.ModuleType]:
    known = sys.stdlib_module_names | _OURS
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in known and isinstance(module, types.ModuleType):
            yield module


def all_plain(values: Iterable[Any]) -> bool:
    """Whether nothing is lost when these are never finalized; False as well when there is too much to look at."""
    seen: set[int] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if type(value) in _PLAIN_TYPES or id(value) in seen or isinstance(value, _PLAIN):
            continue
        if len(seen) > _MOST_OBJECTS:
            return False
        seen.add(id(value))
        inner = _inside(value)
        if inner is None:
            return False
        waiting += inner
    return True


def _inside(value: Any) -> list[Any] | None:
    """What a thing that needs no finalizer holds; None: it may need one."""
    kind = type(value)
    if isinstance(value, _CONTAINERS) and not hasattr(value, "__dict__") and not hasattr(kind, "__del__"):
        return [*value, *value.values()] if isinstance(value, dict) else list(value)
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        return [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *vars(value).values(), *cells]
    if isinstance(value, type):
        return list(vars(value).values()) if _package(value) not in _OURS | sys.stdlib_module_names else []
    if isinstance(value, (staticmethod, classmethod)):
        return [value.__func__]
    if isinstance(value, property):
        return [value.fget, value.fset, value.fdel]
    if kind.__module__ in _PLAIN_MODULES or _package(kind) in _OURS:
        return []
    return None


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _package(kind: type) -> str:
    return str(kind.__module__).partition(".")[0]
