"""llama.cpp: npm's prebuilt library, called by the bindings of llama-cpp-python."""

import ctypes

import numpy as np
from llama_library import bindings
from measure import SPEC, measure

llama = bindings(SPEC["library"], SPEC["bindings"])
quiet = llama.llama_log_callback(lambda *given: None)
llama.llama_log_set(quiet, ctypes.c_void_p(0))
model = llama.llama_model_load_from_file(SPEC["gguf"].encode(), llama.llama_model_default_params())
assert model, SPEC["gguf"]
size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
batch = llama.llama_batch_init(2048, 0, 1)


def context(sequences):
    params = llama.llama_context_default_params()
    params.n_ctx, params.n_seq_max, params.n_batch, params.n_ubatch = 2048, sequences, 2048, 512
    params.n_threads = params.n_threads_batch = SPEC["threads"]
    return llama.llama_init_from_model(model, params)


def run(where, tokens):
    """Run ``tokens``: (id, position, sequence, whether its logits are wanted)."""
    batch.n_tokens = len(tokens)
    for index, (token, position, sequence, wanted) in enumerate(tokens):
        batch.token[index], batch.pos[index], batch.logits[index] = token, position, wanted
        batch.n_seq_id[index], batch.seq_id[index][0] = 1, sequence
    assert llama.llama_decode(where, batch) == 0


def likeliest(where, index):
    return int(np.argmax(np.ctypeslib.as_array(llama.llama_get_logits_ith(where, index), shape=(size,))))


def together(prompts, tokens, where=None):
    where = where or several
    llama.llama_memory_clear(llama.llama_get_memory(where), True)
    ids = [prompt["ids"] for prompt in prompts]
    run(where, [(x, p, s, p == len(i) - 1) for s, i in enumerate(ids) for p, x in enumerate(i)])
    ends = np.cumsum([len(i) for i in ids]) - 1
    last = [likeliest(where, int(end)) for end in ends]
    for step in range(tokens - 1):
        run(where, [(last[s], len(i) + step, s, True) for s, i in enumerate(ids)])
        last = [likeliest(where, s) for s in range(len(ids))]


def ask(prompt, tokens):
    together([prompt], tokens, alone)


alone, several = context(1), context(len(SPEC["several"]))
measure(ask, together)
