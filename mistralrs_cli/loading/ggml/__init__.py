"""ggml's CPU kernels, where the extra ``ggml`` or a library of the user's own is there.

``library`` opens ggml, ``block_types`` names its types, ``graph`` is one product, ``thread_pool`` the threads that
share one, ``product`` multiplies torch's tensors. What uses it: ``ggml_order`` among the formats of quantized weights,
after ``ggml_probe`` has tried everything in another process.
"""
