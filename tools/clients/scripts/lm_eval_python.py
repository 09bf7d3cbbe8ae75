"""lm-evaluation-harness: ``local-completions`` on a task of its own, a choice between words and a perplexity."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("MISTRALRS_STEP_SECONDS", "180")  # the harness itself takes its time to begin
from steps import MODEL, URL, run, step

TOKENIZER = os.environ.get("MISTRALRS_TOKENIZER", "")
FOLDER = Path(tempfile.mkdtemp())
QUESTIONS = [
    {"q": "The capital of France is", "choices": ["Paris", "zebra", "seventeen"], "gold": 0},
    {"q": "The opposite of hot is", "choices": ["purple", "cold", "under"], "gold": 1},
    {"q": "One, two, three,", "choices": ["window", "of", "four"], "gold": 2},
    {"q": "Grass is", "choices": ["green", "loudly", "eleven"], "gold": 0},
]
(FOLDER / "questions.json").write_text("\n".join(map(json.dumps, QUESTIONS)))
COMMON = f"""
dataset_path: json
dataset_kwargs: {{data_files: {{test: {FOLDER}/questions.json}}}}
test_split: test
"""
(FOLDER / "tiny.yaml").write_text(
    f"""{COMMON}
task: tiny_choice
output_type: multiple_choice
doc_to_text: "{{{{q}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: gold
metric_list: [{{metric: acc}}]
"""
)
(FOLDER / "rolling.yaml").write_text(
    f"""{COMMON}
task: tiny_perplexity
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{q}}}}"
metric_list: [{{metric: word_perplexity}}]
"""
)


def evaluate(task):
    arguments = f"model={MODEL},base_url={URL}/v1/completions,num_concurrent=1,max_retries=1,max_length=1024"
    arguments += f",tokenizer={TOKENIZER}"
    command = [sys.executable, "-m", "lm_eval", "--model", "local-completions", "--model_args", arguments]
    command += [
        "--tasks",
        task,
        "--include_path",
        str(FOLDER),
        "--batch_size",
        "2",
        "--output_path",
        str(FOLDER / task),
    ]
    offline = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(FOLDER / "cache"),
        "TOKENIZERS_PARALLELISM": "false",
    }
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, env=offline)
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1][-150:]
    (found,) = (FOLDER / task).rglob("results_*.json")
    return json.loads(found.read_text())["results"][task]


if TOKENIZER:

    @step("local-completions: multiple choice")
    def choice():
        accuracy = evaluate("tiny_choice")["acc,none"]
        print(f"accuracy {accuracy}", file=sys.stderr)
        assert accuracy >= 0.5, accuracy

    @step("local-completions: perplexity")
    def perplexity():
        found = evaluate("tiny_perplexity")["word_perplexity,none"]
        print(f"perplexity {found}", file=sys.stderr)
        assert 1 < found < 1e6, found


run()
