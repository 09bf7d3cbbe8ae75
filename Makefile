# `make demo` and `make test` set everything up by themselves: they need make and Python 3.11 or newer.
#
#   make demo      install, then let the demo model answer about an image, a sound and a video
#   make test      install what the tests need, run them all
#   make quick     the tests that need no model: under a minute
#   make coverage  all tests, and the lines of the package that none of them reached (without what other processes ran)
#   make check     lint, format, import contracts and types
#   make ui        build the page at /ui again from web/ (needs node and npm)
#   make check-ui  the page's own types and tests, and that the built page is that of web/ (needs node and npm)
#   make test-ui   the page in Chromium, against the demo model (needs node, npm and the registries; a few minutes)
#   make media     draw examples/media again        make examples   refresh the answers in examples/cli.md
#   make test-clients   try real clients of OpenAI and Anthropic against the server (needs the registries; npm for some)
#   make test-ray  replicas on a real Ray Serve, in an environment of its own (needs the registry; minutes, 4 GB of memory)
#   make bench-peers  measure beside transformers, llama.cpp, mistral.rs and OpenVINO (needs the registries; minutes)
#   make picture   take the screenshots of the chat and the page again (needs tmux, node, npm and Chromium)
#   make clean     remove the environment and caches
#
# Another PyTorch:  make test TORCH="torch==2.12.0 torchvision==0.27.0 --index-url https://download.pytorch.org/whl/cu128"
# Another Python:   make demo PYTHON=python3.12      Some tests:  make test TESTS="tests/cli -k image"
# Some clients:  make test-clients CLIENTS="--only openai anthropic"
# Part of the measurement:  make bench-peers PEERS="--models small --repeats 1"

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
TESTS ?=
CLIENTS ?=
PEERS ?=
BIN := .venv/bin
# Compiled files are kept even where the environment says not to: the tests start many processes.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder
MEDIA := examples/media

.PHONY: demo test quick coverage test-clients test-ray soak bench-peers check lint types
.PHONY: ui check-ui test-ui media examples picture clean

demo: .venv/.installed
	@echo
	$(BIN)/mistralrs run --image $(MEDIA)/red_circle.png -i "What is in this picture?"
	@echo
	$(BIN)/mistralrs run --audio $(MEDIA)/beeps.wav -i "How many beeps do you hear?"
	@echo
	$(BIN)/mistralrs run --video $(MEDIA)/clip.mp4 -i "What happens in this video?"

test: .venv/.dev
	$(PYTEST) $(TESTS)

quick: .venv/.dev
	$(PYTEST) -m "not slow" $(TESTS)

coverage: .venv/.dev
	$(PYTEST) --cov --cov-report=term $(TESTS)

test-clients: .venv/.installed
	$(BIN)/python -m tools.clients $(CLIENTS)

test-ray: .venv-ray/.installed
	MISTRALRS_TEST_RAY=1 OMP_NUM_THREADS=1 .venv-ray/bin/python -m pytest -v tests/server/replicas $(TESTS)

check: lint types

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: .venv/.dev
	$(BIN)/mypy

soak: .venv/.dev
	$(BIN)/python -m tests.server.soak --requests 10000

bench-peers: .venv/.dev
	$(BIN)/python -m benchmarks.peers $(PEERS)

ui: web/node_modules/.package-lock.json
	cd web && npm run --silent build

check-ui: web/node_modules/.package-lock.json
	cd web && npm run --silent check && npm test --silent && npm run --silent compare

test-ui: .venv/.installed web/node_modules/.package-lock.json
	@command -v chromium >/dev/null || apt-get install -y chromium || { echo "Chromium is needed: apt-get install chromium" >&2; exit 1; }
	cd web && npm run --silent test-browser

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --silent --no-fund --no-audit

media: .venv/.installed
	$(BIN)/python -m examples.make_media

examples: .venv/.dev
	$(BIN)/python -m tests.drift.examples --write

picture: .venv/.installed web/node_modules/.package-lock.json
	$(BIN)/python -m tools.screenshot
	cd web && npm run --silent pictures

clean:
	rm -rf .venv .venv-ray .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist

# The stamps make the second run quick; a changed pyproject.toml installs again.
.venv/.installed: pyproject.toml tools/install.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (or name one: make PYTHON=...)." >&2; exit 1; }
	TORCH='$(TORCH)' $(PYTHON) tools/install.py
	@touch $@

.venv/.dev: pyproject.toml tools/install.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (or name one: make PYTHON=...)." >&2; exit 1; }
	TORCH='$(TORCH)' $(PYTHON) tools/install.py dev
	@touch .venv/.installed $@

# Ray beside the packages of .venv, which it must not change.
.venv-ray/.installed: .venv/.dev
	$(BIN)/python -m venv --clear .venv-ray
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$(.venv-ray/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/beside.pth"
	.venv-ray/bin/python -m pip install --disable-pip-version-check --editable ".[ray,dev]"
	@touch $@
