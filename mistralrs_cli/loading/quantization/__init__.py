"""Fewer bits for the weights of the text decoder.

``types`` are the names, ``wish`` what the options ask for, ``plan`` which weight gets what, ``formats`` how numbers are
stored and multiplied, ``layers`` the modules that hold them, ``targets`` where those belong in a model, ``loader`` the
hook in transformers' loader, ``existing`` what comes quantized. The modules that need torch are imported when used.
"""

from .plan import Pin, Weight, plan
from .request import QuantizationRequest, requested
from .types import QuantType, parse_type

__all__ = ["Pin", "QuantType", "QuantizationRequest", "Weight", "parse_type", "plan", "requested"]
