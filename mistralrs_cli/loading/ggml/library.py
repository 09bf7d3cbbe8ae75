"""ggml's libraries: where they are, and the few functions of its C interface that are called.

ggml promises no stable binary interface. So the place of a tensor's address is found, not assumed, what a library
computes is checked in another process before it is used (``probe``), and the extra pins the version.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, Structure, c_bool, c_char, c_char_p, c_int, c_int64, c_size_t, c_void_p
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

FOLDER = "MISTRALRS_GGML"
"""The environment variable with the folder of the user's own libraries, or ``off``."""
PACKAGE = "libggml"
PLACES = ("", "lib64", "lib", "bin")
ENDINGS = (".so", ".dylib", ".dll")


class GgmlError(Exception):
    """Why a library of ggml cannot be used."""


class InitParameters(Structure):
    """``struct ggml_init_params``."""

    _fields_ = (("size", c_size_t), ("buffer", c_void_p), ("no_alloc", c_bool))


class Plan(Structure):
    """``struct ggml_cplan``, with room for fields that a later version may add."""

    _fields_ = (("work_size", c_size_t), ("work", c_void_p), ("rest", c_char * 240))


FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "ggml_init": (c_void_p, (InitParameters,)),
    "ggml_free": (None, (c_void_p,)),
    "ggml_tensor_overhead": (c_size_t, ()),
    "ggml_graph_overhead_custom": (c_size_t, (c_size_t, c_bool)),
    "ggml_get_data": (c_void_p, (c_void_p,)),
    "ggml_new_tensor_1d": (c_void_p, (c_void_p, c_int, c_int64)),
    "ggml_new_tensor_2d": (c_void_p, (c_void_p, c_int, c_int64, c_int64)),
    "ggml_view_2d": (c_void_p, (c_void_p, c_void_p, c_int64, c_int64, c_size_t, c_size_t)),
    "ggml_mul_mat": (c_void_p, (c_void_p, c_void_p, c_void_p)),
    "ggml_new_graph_custom": (c_void_p, (c_void_p, c_size_t, c_bool)),
    "ggml_build_forward_expand": (None, (c_void_p, c_void_p)),
    "ggml_version": (c_char_p, ()),
    "ggml_cpu_init": (None, ()),
    "ggml_graph_plan": (Plan, (c_void_p, c_int, c_void_p)),
    "ggml_graph_compute": (c_int, (c_void_p, POINTER(Plan))),
}


class Library:
    """An opened CPU library of ggml and, with it, the base library beside it.

    Raises ``GgmlError`` for one without the functions that are called, or with tensors of an unknown form.
    """

    def __init__(self, file: Path) -> None:
        try:
            bases = [named for ending in ENDINGS for named in file.parent.glob(f"*ggml-base{ending}")]
            self.handles = [ctypes.CDLL(str(one)) for one in (*bases, file)]
        except OSError as error:
            raise GgmlError(str(error)) from error
        self.file = file
        for name, (result, arguments) in FUNCTIONS.items():
            setattr(self, name.removeprefix("ggml_"), self.function(name, result, *arguments))
        self.cpu_init()
        self.data_offset = self.find_data_offset()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        """A function of either library."""
        for handle in self.handles:
            if hasattr(handle, name):
                found = getattr(handle, name)
                found.restype, found.argtypes = result, arguments
                return found
        raise GgmlError(f"{self.file.name} has no {name}")

    @property
    def named_version(self) -> str:
        """ggml's version."""
        return str(self.version().decode())

    def find_data_offset(self) -> int:
        """Where in ``struct ggml_tensor`` the address of the tensor's numbers is."""
        context = self.init(InitParameters(1 << 16, None, False))
        try:
            tensor = self.new_tensor_1d(context, 0, 64)
            address = self.get_data(tensor)
            for offset in range(0, self.tensor_overhead() - 32, 8):  # 32 bytes of it lie before the tensor
                slot = c_void_p.from_address(tensor + offset)
                if slot.value == address:
                    slot.value = address + 64
                    if self.get_data(tensor) == address + 64:
                        return offset
                    slot.value = address
        finally:
            self.free(context)
        raise GgmlError(f"{self.file.name} has tensors of an unknown form")


def library_folder() -> Path | None:
    """Where ggml is: the folder that the environment names, else the package that the extra installs."""
    named = os.environ.get(FOLDER)
    if named:
        return None if named == "off" else Path(named).expanduser()
    found = find_spec(PACKAGE)
    return Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None


def cpu_libraries(folder: Path) -> list[Path]:
    """ggml's CPU libraries in a folder: one, or one for each kind of CPU."""
    for place in PLACES:
        found = [file for ending in ENDINGS for file in sorted((folder / place).glob(f"*ggml-cpu*{ending}"))]
        if found:
            return found
    return []


def best(files: list[Path]) -> Path:
    """The library for this CPU, by the score that each of several gives itself: 0 where it cannot run.

    Raises ``GgmlError`` where none can. To ask them they are opened.
    """
    scores = []
    for file in files:
        try:
            handle = ctypes.CDLL(str(file))
        except OSError:
            continue
        scores.append((handle.ggml_backend_score() if hasattr(handle, "ggml_backend_score") else 1, file))
    score, file = max(scores, default=(0, Path()))
    if not score:
        raise GgmlError("none of its libraries runs on this CPU")
    return file
