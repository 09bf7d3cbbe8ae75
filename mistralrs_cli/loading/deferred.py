"""Modules of libraries that are executed when something of them is first asked for, and not when they are imported.

As ``importlib.util.LazyLoader``, for packages: a submodule is imported after its package, and decorators of the package
may be applied before it is executed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec, spec_from_loader
from threading import RLock
from types import FunctionType, ModuleType
from typing import Any

_lock = RLock()
_waiting: dict[str, _Waiting] = {}


@dataclass
class _Waiting:
    """A module that is not executed yet, and what is to be done once it is."""

    module: ModuleType
    loader: Loader
    alone: Collection[str]
    then: list[Callable[[], None]] = field(default_factory=list)
    executed: bool = False


class _Deferred(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":  # what looks through all modules asks for such
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        execute(self.__name__)
        return ModuleType.__getattribute__(self, name)


class _Submodules(MetaPathFinder):
    """Executes a package before its first submodule is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package = fullname.rpartition(".")[0]
        waiting = _waiting.get(package)
        if waiting is None or fullname in waiting.alone:
            return None
        execute(package)
        there = sys.modules.get(fullname)  # the package itself imported it
        if there is None:
            return None
        spec = spec_from_loader(fullname, _There(there))
        there.__spec__ = spec  # importlib goes by this one, and would execute the module again
        return spec


class _There(Loader):
    """The loader of a module that is there."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


def defer(
    package: Sequence[str],
    name: str,
    *,
    marks: Collection[str] = (),
    wrappers: Collection[str] = (),
    alone: Collection[str] = (),
) -> None:
    """Import the module ``name`` of the folders ``package``, and execute it once something of it is asked for.

    What is asked for without executing it: ``marks``, decorators that return what they are given, and ``wrappers``,
    other decorators of functions, both of which are applied when it is executed; ``alone``, submodules that do not
    need it. A module that is there already stays as it is.
    """
    spec = None if name in sys.modules else PathFinder.find_spec(name, package)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    module.__class__ = _Deferred
    waiting = _Waiting(module, spec.loader, frozenset(alone))
    module.__dict__.update({each: _marking(waiting, each) for each in marks})
    module.__dict__.update({each: _wrapping(waiting, each) for each in wrappers})
    parent, _, child = name.rpartition(".")
    with _lock:
        if not any(isinstance(finder, _Submodules) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Submodules())
        _waiting[name] = waiting
        sys.modules[name] = module
        if parent in sys.modules:
            setattr(sys.modules[parent], child, module)


def execute(name: str) -> None:
    """Execute a module if it waits for that; another thread's execution is waited for."""
    with _lock:
        waiting = _waiting.pop(name, None)
        if waiting is None:
            return
        try:
            waiting.loader.exec_module(waiting.module)
        except BaseException:
            _waiting[name] = waiting
            raise
        waiting.module.__class__ = ModuleType
        waiting.executed = True
        for act in waiting.then:
            act()


def _marking(waiting: _Waiting, name: str) -> Callable[..., Any]:
    def mark(function: Any) -> Any:
        if waiting.executed:
            return getattr(waiting.module, name)(function)
        waiting.then.append(lambda: getattr(waiting.module, name)(function))
        return function

    return mark


def _wrapping(waiting: _Waiting, name: str) -> Callable[..., Any]:
    def wrap(function: Any = None, *args: Any, **options: Any) -> Any:
        if waiting.executed:
            return getattr(waiting.module, name)(function, *args, **options)
        if function is None:
            return lambda given: wrap(given, *args, **options)
        if not isinstance(function, FunctionType):  # a class or a module of torch, in whose place no function can stand
            execute(waiting.module.__name__)
            return getattr(waiting.module, name)(function, *args, **options)
        wrapped = function

        def settle() -> None:
            nonlocal wrapped
            wrapped = getattr(waiting.module, name)(function, *args, **options)

        @wraps(function)
        def call(*values: Any, **keywords: Any) -> Any:
            return wrapped(*values, **keywords)

        waiting.then.append(settle)
        return call

    return wrap
