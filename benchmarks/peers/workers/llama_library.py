"""llama-cpp-python's bindings over a llama.cpp that was built elsewhere."""

import ctypes
import importlib
import os
import sys
import types
from pathlib import Path


def bindings(library, package):
    """The module ``llama_cpp.llama_cpp`` of the folder ``package``, over the libraries in the folder ``library``.

    Functions that the library lacks are left out: the two are not of the same day. Of several back ends for CPUs the
    library takes the one that this CPU runs fastest.
    """
    folder = Path(library)
    ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
    ggml = ctypes.CDLL(str(folder / "libggml.so"), mode=ctypes.RTLD_GLOBAL)
    ggml.ggml_backend_load_all_from_path.argtypes = [ctypes.c_char_p]
    ggml.ggml_backend_load_all_from_path(str(folder).encode())
    os.environ["LLAMA_CPP_LIB_PATH"] = str(folder)
    stub = types.ModuleType("llama_cpp")
    stub.__path__ = [package]
    sys.modules["llama_cpp"] = stub
    extensions = importlib.import_module("llama_cpp._ctypes_extensions")
    make = extensions.ctypes_function_for_shared_library

    def tolerant(library):
        decorate = make(library)
        return lambda name, arguments, result, enabled=True: decorate(
            name, arguments, result, enabled and hasattr(library, name)
        )

    extensions.ctypes_function_for_shared_library = tolerant
    module = importlib.import_module("llama_cpp.llama_cpp")
    module.llama_backend_init()
    return module


if __name__ == "__main__":  # LIBRARY BINDINGS SOURCE TARGET TYPE: quantize a GGUF file
    llama = bindings(*sys.argv[1:3])
    params = llama.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = int(sys.argv[5]), True
    sys.exit(llama.llama_model_quantize(sys.argv[3].encode(), sys.argv[4].encode(), params))
