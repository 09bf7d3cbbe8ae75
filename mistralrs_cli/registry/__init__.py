"""Several models in one process by their names: loaded when they are asked for, unloaded when others need the room.

Faces give a ``ModelRegistry`` the models and a function that starts one; nothing here knows what a model is.
"""

from __future__ import annotations

from .entry import Lease, ModelEntry, Status
from .registry import ModelRegistry
from .spec import ModelSpec, RegistryLimits

__all__ = ["Lease", "ModelEntry", "ModelRegistry", "ModelSpec", "RegistryLimits", "Status"]
