"""Precision, devices and memory: the panel Precision and hardware."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ...errors import OptionError
from ...options import DType, IsqOrganization, KVCacheType, ModelOptions
from .option import HARDWARE, at_least, flag_in, option_in

option, flag = option_in(HARDWARE), flag_in(HARDWARE)


def always_cached(given: bool) -> bool:
    """Raise ``OptionError`` for an option of mistral.rs that does not exist here."""
    if given:
        raise OptionError(
            "--no-kv-cache: a KV cache is always used.", "--prefix-cache-n 0 keeps none between requests."
        )
    return given


@dataclass(frozen=True)
class HardwareParams:
    """How the weights are loaded. Fields but ``no_kv_cache`` are named as those of ``ModelOptions``."""

    quant: Annotated[
        str | None,
        option(
            "--quant",
            metavar="TYPE",
            help="Quantize the weights: 2 3 4 5 6 8 bits, a type's name, or auto for what fits. Kept for next time.",
        ),
    ] = None
    isq: Annotated[
        str | None, option("--isq", metavar="TYPE", help="The same types, quantized while loading and not kept.")
    ] = None
    isq_organization: Annotated[
        IsqOrganization,
        option(
            "--isq-organization",
            metavar="WHICH",
            help="What --isq quantizes: default, or moqe for the routed experts alone.",
        ),
    ] = ModelOptions.isq_organization
    dtype: Annotated[
        DType, option("--dtype", metavar="TYPE", help="Number type of the weights: auto, bf16, f16 or f32.")
    ] = ModelOptions.dtype
    cpu: Annotated[bool, flag("--cpu", help="Run on the CPU, even where there is a GPU.")] = False
    device_layers: Annotated[
        str | None,
        option(
            "-n",
            "--device-layers",
            metavar="ORD:NUM;…",
            help="Text layers for each GPU, or cpu and disk; what is left goes to the CPU.",
        ),
    ] = None
    topology: Annotated[
        str | None, option("--topology", metavar="FILE", help="A device, and bits, for layers by name.")
    ] = None
    max_memory: Annotated[
        str | None,
        option("--max-memory", metavar="ORD:SIZE;…", help="Memory to use of each device: 0:10GiB;cpu:20GiB."),
    ] = None
    max_seq_len: Annotated[
        int,
        option("--max-seq-len", metavar="N", callback=at_least(1), help="Plan memory for conversations of N tokens."),
    ] = ModelOptions.max_seq_len
    max_batch_size: Annotated[
        int, option("--max-batch-size", metavar="N", callback=at_least(1), help="Plan memory for N requests at once.")
    ] = ModelOptions.max_batch_size
    max_num_images: Annotated[
        int | None,
        option(
            "--max-num-images",
            metavar="N",
            callback=at_least(1),
            help="Plan memory for N images, and take no more in a request.",
        ),
    ] = None
    max_image_length: Annotated[
        int,
        option(
            "--max-image-length", metavar="N", callback=at_least(1), help="Plan memory for images of N pixels a side."
        ),
    ] = ModelOptions.max_image_length
    threads: Annotated[
        int | None, option("--threads", metavar="N", callback=at_least(1), help="CPU threads to use.")
    ] = None
    max_seqs: Annotated[
        int, option("--max-seqs", metavar="N", callback=at_least(1), help="Most requests decoded at once.")
    ] = ModelOptions.max_seqs
    kv_cache_type: Annotated[
        KVCacheType,
        option(
            "--kv-cache-type",
            metavar="TYPE",
            help="Numbers in the KV cache: auto as the model computes, or q8 for half the memory.",
        ),
    ] = ModelOptions.kv_cache_type
    prefix_cache_n: Annotated[
        int,
        option(
            "--prefix-cache-n",
            metavar="N",
            callback=at_least(0),
            help="Prompts whose KV cache is kept, so that the next turn prefills only what is new; 0: none.",
        ),
    ] = ModelOptions.prefix_cache_n
    no_kv_cache: Annotated[
        bool,
        flag(
            "--no-kv-cache",
            callback=always_cached,
            help="Not supported: a KV cache is always used.",
        ),
    ] = False
