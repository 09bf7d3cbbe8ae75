"""The Python SDK: what ``from mistralrs import …`` finds."""

from ..options import MediaPolicy
from .asynchronous import AsyncRunner
from .batch import BatchProgress, BatchResult
from .chunks import Chunks
from .enums import IsqOrganization, ModelDType, MultimodalArchitecture, ToolChoice, VisionArchitecture
from .problems import AnswerCut, RequestError, RunnerError
from .remote import RemoteRunner
from .requests import ChatCompletionRequest, CompletionRequest
from .responses import (
    ChatCompletionChunkResponse,
    ChatCompletionResponse,
    Choice,
    ChunkChoice,
    CompletionChoice,
    CompletionResponse,
    Delta,
    ResponseBox,
    ResponseMessage,
    ResponsePoint,
    Usage,
)
from .runner import Runner
from .transcription import TranscriptionResponse
from .which import (
    MultimodalAutoMapParams,
    TextAutoMapParams,
    VisionAutoMapParams,
    Which,
)

__all__ = [
    "AnswerCut",
    "AsyncRunner",
    "BatchProgress",
    "BatchResult",
    "ChatCompletionChunkResponse",
    "ChatCompletionRequest",
    "ChatCompletionResponse",
    "Choice",
    "ChunkChoice",
    "Chunks",
    "CompletionChoice",
    "CompletionRequest",
    "CompletionResponse",
    "Delta",
    "IsqOrganization",
    "MediaPolicy",
    "ModelDType",
    "MultimodalArchitecture",
    "MultimodalAutoMapParams",
    "RemoteRunner",
    "RequestError",
    "ResponseBox",
    "ResponseMessage",
    "ResponsePoint",
    "Runner",
    "RunnerError",
    "TextAutoMapParams",
    "ToolChoice",
    "TranscriptionResponse",
    "Usage",
    "VisionArchitecture",
    "VisionAutoMapParams",
    "Which",
]
