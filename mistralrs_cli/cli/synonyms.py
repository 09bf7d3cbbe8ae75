"""What people type who know other tools, and what it is called here; a value to show with each option."""

from collections.abc import Mapping

LIST = "mistralrs cache list shows the models on this disk."


def by_name(hints: Mapping[str, str]) -> dict[str, str]:
    """The hint for each name, from hints with all names they are for."""
    return {name: hint for hint, names in hints.items() for name in names.split()}


COMMANDS = by_name(
    {
        'One question: mistralrs run -i "What can you do?"': "ask prompt query generate complete answer",
        "mistralrs run without -i opens a chat.": "chat talk repl interactive shell",
        "mistralrs cache list shows the models on this disk.": "list ls models list-models",
        "A model is downloaded when it is first used: mistralrs run -m Qwen/Qwen3-VL-4B-Instruct": (
            "pull download get fetch install add"
        ),
        "mistralrs cache delete MODEL removes one from this disk.": "rm remove delete uninstall",
        "Did you mean mistralrs transcribe?": "whisper stt asr subtitle subtitles dictate",
        'mistralrs run --image photo.jpg -i "What is this?"': "describe caption vision image",
        'mistralrs run --video clip.mp4 -i "What happens in this video?"': "video",
        'mistralrs run --audio talk.mp3 -i "What is said?"': "audio",
        "Did you mean mistralrs ps?": "status engines",
        "Did you mean mistralrs stop?": "kill unload",
        "What a model would need and where it would go: mistralrs run -m MODEL --dry-run": "show info plan fit",
        "mistralrs quantize -m MODEL --isq 4 -o DIR writes a model with fewer bits.": (
            "create convert quantise export make"
        ),
        "mistralrs serve answers over HTTP.": "server start api up host openai web ui",
        "mistralrs batch 'shots/*.jpg' -i \"Describe {stem}.\" -o out.jsonl": "bulk map run-batch foreach",
        "Did you mean mistralrs bench?": "benchmark perf speed llama-bench",
        "Did you mean mistralrs login?": "auth signin token keys whoami",
        "mistralrs sessions list shows the saved chats.": "history logs chats conversations",
        "mistralrs run --continue continues the last chat.": "continue resume",
        "Did you mean mistralrs doctor?": "check diagnose health test setup",
        "Did you mean mistralrs completions?": "completion autocomplete",
        "Did you mean mistralrs --version?": "version about",
        "pip install --upgrade mistralrs": "update upgrade",
        "mistralrs inspect FILE shows the tokens of media, with -i those of a text.": "tokenize count tokens",
    }
)
"""Commands of ollama, llm, llama.cpp, mlx-vlm and others, and what to type instead."""

OPTIONS = by_name(
    {
        '-i "…"': "prompt question query message text ask user content instruction-text -p -q",
        "--image FILE": (
            "file files attach attachment attachments picture pictures photo photos img pic images image-file "
            "image-path image-url media screenshot -f -I"
        ),
        "--audio FILE": "sound sounds voice speech wav mp3 audios audio-file audio-path",
        "--video FILE": "clip clips movie film videos video-file video-path mp4",
        '-s "…"': "system-prompt sys instruction instructions developer",
        "mistralrs run without -i opens a chat.": "chat interactive conversation repl -it -C",
        "-m MODEL": "model model-path model-name hf-repo hf-model hf repo repo-id checkpoint weights -M",
        "-c FILE": "template chat-template-file jinja jinja-template",
        "--hf-cache DIR": "cache-dir download-dir cache hf-home",
        "--token-source env:HF_TOKEN": "token hf-token auth-token",
        "--arch NAME": "architecture model-type",
        "--revision REV": "branch tag commit",
        "--trust-remote-code": "trust remote-code",
        "LoRA adapters are not loaded: merge the adapter into its model, and name that after -m.": (
            "lora adapter adapters adapter-path lora-path control-vector"
        ),
        "-m takes a folder, or a model of the hub, with safetensors; --quant 4 makes it small.": (
            "gguf mmproj uqff from-uqff quantized-filename"
        ),
        "There is no speculative decoding.": "draft model-draft draft-model num-draft-tokens",
        "--max-tokens N": (
            "n-predict predict num-predict max-new-tokens max-length max-output-tokens max-completion-tokens tokens"
        ),
        "--temperature F": "temp",
        "--repetition-penalty F": "repeat-penalty repetition rep-penalty",
        "--json-schema FILE": "json-schema-file response-format structured",
        "--grammar FILE": "grammar-file gbnf",
        "--thinking": "think enable-thinking reasoning",
        "--thinking=false": "no-think nothink no-thinking disable-thinking",
        "--reasoning-effort HOW": "effort reasoning-budget",
        "--stop TEXT": "reverse-prompt stop-sequence stop-sequences stop-string -r",
        "Answers are written as they come; with --json in one piece.": "stream no-stream streaming",
        "--video-fps F": "fps frame-rate",
        "--video-frames N": "frames num-frames nframes n-frames",
        "--video-start SEC": "start from begin",
        "--video-end SEC": "end until",
        "--max-edge N": "resize resize-shape max-pixels image-size max-size max-image-size",
        "--max-seq-len N": "ctx-size ctx num-ctx n-ctx context context-length context-size max-model-len max-kv-size",
        "-n ORD:NUM": "n-gpu-layers gpu-layers ngl num-gpu num-device-layers",
        "A GPU is used where there is one; --cpu leaves it alone.": "gpu cuda metal mps",
        "--cpu leaves the GPU alone; -n says how many layers a GPU holds.": "device devices",
        "--quant 4": "quantize quantization quantise quant-type bits q-bits load-in-4bit load-in-8bit in-situ-quant",
        "--max-seqs N": "parallel np max-num-seqs max-concurrency concurrency -np",
        "--max-batch-size N": "batch-size ubatch-size batch",
        "--threads N": "num-threads n-threads num-thread threads-batch cores",
        "--dtype bf16": "precision torch-dtype type fp16 bf16 f16 half",
        "--max-memory SIZE": "gpu-memory-utilization memory max-ram vram",
        "Leave it out: there is nothing to choose.": "flash-attn fa mlock no-mmap paged-attn no-paged-attn",
        "--quiet": "silent no-progress no-display-prompt no-verbose",
        "--verbose": "debug log-level loud timings stats show-timings",
        'The answer goes to stdout: mistralrs run -i "…" > answer.txt': "output out save -o",
        "--json": "output-format as-json json-output",
        "Colours and redrawn lines: --plain, or NO_COLOR=1 in the environment.": (
            "markdown no-markdown no-color no-colour color"
        ),
        "mistralrs --version": "version",
        "--continue": "last resume-last",
        "--resume ID": "session conversation-id cid",
        "--host ADDRESS": "bind listen address addr ip hostname",
        "--api-key KEY": "key apikey auth password",
        "--cors-origin URL": "cors origins allowed-origins cors-allow-origins",
        "--served-model-name NAME": "alias served-name public-name",
        "--allowed-media-path DIR": "allowed-local-media-path media-path media-dir",
        "--output DIR": "dir folder destination target",
        "--yes": "force assume-yes",
    }
)
"""Options of other tools, without their dashes unless they are one letter: what is offered where a command has it."""

EXAMPLES = {
    "--input": '"What is this?"',
    "--image": "photo.jpg",
    "--audio": "talk.mp3",
    "--video": "clip.mp4",
    "--system": '"Answer in one word."',
    "--resume": "20260314-091502-c0de",
    "--model-id": "Qwen/Qwen3-VL-4B-Instruct",
    "--arch": "Qwen3VL",
    "--revision": "main",
    "--hf-cache": "/data/models",
    "--token-source": "env:HF_TOKEN",
    "--tokenizer": "tokenizer.json",
    "--tok-model-id": "Qwen/Qwen3-VL-4B-Instruct",
    "--chat-template": "chatml.jinja",
    "--jinja-explicit": "template.jinja",
    "--matformer-config-path": "gemma3n.csv",
    "--matformer-slice-name": '"Config for official E2B Model"',
    "--max-tokens": "200",
    "--temperature": "0.7",
    "--top-p": "0.95",
    "--top-k": "40",
    "--min-p": "0.05",
    "--repetition-penalty": "1.1",
    "--frequency-penalty": "0.5",
    "--presence-penalty": "0.5",
    "--stop": '"END"',
    "--seed": "1",
    "--reasoning-effort": "low",
    "--json-schema": "schema.json",
    "--on-error": "retry",
    "--per-row": "2",
    "--input-format": "jsonl",
    "--regex": '"yes|no"',
    "--grammar": "grammar.lark",
    "--max-edge": "768",
    "--video-frames": "16",
    "--video-fps": "1",
    "--video-start": "5",
    "--video-end": "20",
    "--quant": "4",
    "--isq": "4",
    "--isq-organization": "moqe",
    "--dtype": "bf16",
    "--threads": "4",
    "--device-layers": '"0:16;1:16"',
    "--topology": "topology.yaml",
    "--max-memory": '"0:10GiB;cpu:20GiB"',
    "--max-seq-len": "8192",
    "--max-batch-size": "4",
    "--max-num-images": "4",
    "--max-image-length": "1024",
    "--max-seqs": "8",
    "--kv-cache-type": "q8",
    "--prefix-cache-n": "16",
    "--port": "1234",
    "--host": "127.0.0.1",
    "--api-key": "KEY",
    "--api-key-file": "keys.txt",
    "--allowed-media-path": "images",
    "--allowed-media-domain": "example.com",
    "--cors-origin": "https://example.com",
    "--served-model-name": "assistant",
    "--log-format": "json",
    "--max-body": "64",
    "--max-queue": "16",
    "--limit-images": "8",
    "--limit-audios": "2",
    "--limit-videos": "1",
    "--output": "qwen3-vl-4bit",
    "--prompt-tokens": "512",
    "--answer-tokens": "64",
    "--requests": "8",
    "--rounds": "3",
    "--format": "srt",
    "--language": "en",
    "--prompt": '"Ada Lovelace, Charles Babbage"',
    "--window": "20",
    "--pause": "1",
    "--jobs": "4",
    # What another command takes under the same name
    "mistralrs batch --format": "csv",
    "mistralrs batch --output": "out.jsonl",
    # What a command cannot do without
    "mistralrs transcribe": "For example: mistralrs transcribe talk.mp3 -o talk.srt",
    "mistralrs inspect": "For example: mistralrs inspect photo.jpg -m Qwen/Qwen3-VL-4B-Instruct",
    "mistralrs quantize": "For example: mistralrs quantize -m Qwen/Qwen3-VL-4B-Instruct --isq 4 -o qwen3-vl-4bit",
    "mistralrs cache delete": f"For example: mistralrs cache delete Qwen/Qwen3-VL-4B-Instruct; {LIST}",
    "mistralrs completions": "For example: mistralrs completions bash",
    **dict.fromkeys(
        (f"mistralrs sessions {word}" for word in ("show", "export", "delete")),
        "mistralrs sessions list shows the ids of the chats.",
    ),
}
"""A value that could follow an option, by its long name; what a command could be given, by the command."""
