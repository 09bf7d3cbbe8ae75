"""How many public JSON schemas are accepted, and are the answers of a real model valid?

    python -m benchmarks.schemas [--model FOLDER] [--schemas 120] [--tokens 96] [--seed 7]

Schemas are those of the JSON Schema Test Suite (draft 2020-12 and draft 7, out of the ``jsonschema`` 4.17.3 source
package) that any value satisfies, and those that ``check-jsonschema`` brings: CI systems and other tools, long ones.
All are compiled; of each collection some, drawn by the seed, are answered by SmolLM2-135M-Instruct
(``benchmarks.smollm2``) and the answers that ended are checked with ``jsonschema``. It needs pip's index and
``pip install jsonschema gguf``.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import FormatChecker, exceptions
from jsonschema.validators import Draft7Validator, Draft202012Validator, validator_for

from benchmarks.smollm2 import checkpoint
from mistralrs import ChatCompletionRequest, Runner, Which
from mistralrs_cli.constraint import check, left_out
from mistralrs_cli.engine.sampling.grammar import LONGEST
from mistralrs_cli.errors import GrammarError
from mistralrs_cli.options import Grammar

SUITE = "jsonschema==4.17.3"
TOOLS = "check-jsonschema==0.39.0"
DRAFTS = {"draft2020-12": Draft202012Validator, "draft7": Draft7Validator}

APART = ("refRemote", "vocabulary")  # they need files beside them
Case = tuple[str, Any, Any]
"""A name, a schema and the validator of its draft."""


def fetched(package: str, scratch: Path, *options: str) -> Path:
    """A package's file."""
    before = set(scratch.iterdir())
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *options, "--dest", str(scratch)]
    subprocess.run([*command, package], check=True)
    (path,) = set(scratch.iterdir()) - before
    return path


def suite(scratch: Path) -> Iterator[Case]:
    """The schemas of the test suite that some value satisfies and that stand alone."""
    source = fetched(SUITE, scratch, "--no-binary", "jsonschema")
    with tarfile.open(source) as archive:
        for member in archive:
            path = Path(member.name)
            draft = path.parent.name
            stream = archive.extractfile(member) if path.suffix == ".json" and path.stem not in APART else None
            if stream is None or draft not in DRAFTS or path.parent.parent.name != "tests":
                continue
            for group in json.load(stream):
                if any(test["valid"] for test in group["tests"]):
                    yield f"{draft} {path.stem}: {group['description']}", group["schema"], DRAFTS[draft]


def tools(scratch: Path) -> Iterator[Case]:
    """The schemas of configuration files that a checker of such files brings."""
    archive = zipfile.ZipFile(fetched(TOOLS, scratch))
    for name in archive.namelist():
        if "/vendor/" in name and name.endswith(".json"):
            schema = json.loads(archive.read(name))
            yield Path(name).stem, schema, validator_for(schema)


def accepted(case: Case) -> str:
    """Whether a schema is: ``whole``, ``in part`` or why not."""
    grammar = Grammar("json_schema", json.dumps(case[1]))
    if len(grammar.value) > LONGEST:
        return f"refused: longer than {LONGEST:,} characters"
    try:
        check(grammar)
        return "in part" if any(not part.remark for part in left_out(grammar)) else "whole"
    except GrammarError as error:
        return f"refused: {error.message}"


def answered(runner: Runner, case: Case, tokens: int) -> tuple[str, float]:
    """What became of an answer, and the milliseconds of a token."""
    name, schema, validator = case
    request = ChatCompletionRequest(
        f"Write an example as JSON. It is called {name.partition(': ')[2] or name}.",
        max_tokens=tokens,
        temperature=0,
        grammar=json.dumps(schema),
        grammar_type="json_schema",
    )
    begin = time.perf_counter()
    try:
        response = runner.send_chat_completion_request(request)
    except ValueError as error:
        return f"refused: {str(error).splitlines()[0]}", 0.0
    choice = response.choices[0]
    pace = (time.perf_counter() - begin) * 1000 / max(response.usage.completion_tokens, 1)
    if choice.finish_reason == "length":
        return "cut", pace
    try:
        validator(schema, format_checker=FormatChecker()).validate(json.loads(choice.message.content or ""))
    except (exceptions.ValidationError, ValueError) as error:
        return f"invalid: {str(error).splitlines()[0]}: {choice.message.content}", pace
    return "valid", pace


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--schemas", type=int, default=120)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--verbose", action="store_true", help="print every case that is not valid")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        collections = {"test suite": list(suite(Path(folder))), "tools": list(tools(Path(folder)))}
    runner = Runner(Which.Plain(model_id=str(chosen.model or checkpoint())), prefix_cache_n=0)
    print(f"{'':14}{'schemas':>9}{'whole':>8}{'in part':>9}{'refused':>9}")
    drawn: dict[str, list[Case]] = {}
    for name, cases in collections.items():
        found = {id(case): accepted(case) for case in cases}
        counts = [sum(one == kind for one in found.values()) for kind in ("whole", "in part")]
        print(f"{name:14}{len(cases):9}{counts[0]:8}{counts[1]:9}{len(cases) - sum(counts):9}", flush=True)
        for case in cases:
            if chosen.verbose and found[id(case)].startswith("refused"):
                print(f"  {case[0]}: {found[id(case)]}")
        for kind in ("whole", "in part"):
            of_kind = [case for case in cases if found[id(case)] == kind]
            share = min(len(of_kind), chosen.schemas // (2 if kind == "whole" else 4))
            drawn[f"{name}, {kind}"] = random.Random(chosen.seed).sample(of_kind, share)
    print(f"\n{'':22}{'asked':>7}{'valid':>7}{'invalid':>9}{'cut':>5}{'refused':>9}{'ms a token':>12}")
    for name, cases in drawn.items():
        results = [(case, *answered(runner, case, chosen.tokens)) for case in cases]
        kinds = [outcome.partition(":")[0] for _, outcome, _ in results]
        numbers = [kinds.count(kind) for kind in ("valid", "invalid", "cut", "refused")]
        pace = sorted(pace for *_, pace in results if pace)
        middle = pace[len(pace) // 2] if pace else 0.0
        print(
            f"{name:22}{len(cases):7}{numbers[0]:7}{numbers[1]:9}{numbers[2]:5}{numbers[3]:9}{middle:12.1f}", flush=True
        )
        for case, outcome, _ in results:
            if chosen.verbose and not outcome.startswith(("valid", "cut")):
                print(f"  {case[0]}: {outcome}")


if __name__ == "__main__":
    main()
