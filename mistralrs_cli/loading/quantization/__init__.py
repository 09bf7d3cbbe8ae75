"""Fewer bits for the weights of the text decoder.

``types`` are the names, ``request`` the options, ``plan`` which weight gets which type, ``formats`` how numbers are
stored and multiplied, ``layers`` the modules that hold them, ``targets`` the weights that can be quantized, ``loader``
the hook in transformers' loader, ``prequantized`` checkpoints that come quantized, ``writer`` those written here,
``kernel_copy`` what is kept for this CPU's kernels. The modules that need torch are imported when used.
"""

from .plan import Pin, Weight, plan
from .request import QuantizationRequest, parse_quantization
from .types import QuantType, parse_type

__all__ = ["Pin", "QuantType", "QuantizationRequest", "Weight", "parse_quantization", "parse_type", "plan"]
