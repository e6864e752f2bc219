# Everything a newcomer needs: `make` lists it. GNU make and a POSIX shell; each target sets up
# what it needs, once: the stamps in $(VENV) and $(CACHE) remember what was done for which files.
#
# `make test` takes 17 to 23 minutes on two cores, on a machine where nothing is installed yet and
# by what else it does: 1.5 for set-up, the rest for 15,000 tests, of which those of the client and
# of each WSGI server take most. `make test ARGS=--durations=0` says where the time goes.
# `make conformance` takes 18 minutes, `make soak` 7, `make test-oldest` 10, `make bench` 30.

PYTHON =
VENV = .venv
CACHE = .cache
ARGS =
SUITES =

BIN = $(VENV)/bin
SOURCES = faye_sync pytest_faye_sync.py tests examples benchmarks deploy
METADATA = setup.cfg pyproject.toml setup.py faye_sync/_speedups.c
# Another PYTHON is another stamp, so that naming one looks at the environment again.
MADE = $(VENV)/made$(if $(PYTHON),-with-$(subst /,-,$(PYTHON)))

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14
	@echo
	@echo 'PYTHON=python3.12  another Python, 3.10 or later       VENV=folder  another environment'
	@echo 'ARGS="-k ping -x"  passed to pytest'

demo: $(VENV)/demo ## Install the demo and run examples/flask_echo.py
	$(BIN)/python examples/flask_echo.py $(ARGS)

test: $(VENV)/test $(VENV)/machine ## Set up all that the tests need and run them
	$(BIN)/python -m pytest $(SUITES) $(ARGS)

# tests/oldest.txt pins the oldest versions, in an environment beside the other; what it does not
# name is as new as pip finds it. HTTP/2 came to gunicorn later.
test-oldest: ## The tests of servers, frameworks and client, with the oldest versions of all
	PIP_CONSTRAINT=tests/oldest.txt $(MAKE) test VENV=$(VENV)-oldest \
	    METADATA="$(METADATA) tests/oldest.txt" \
	    SUITES="$(OLDEST) -k 'not http2' -W ignore::DeprecationWarning"
OLDEST = tests/servers tests/frameworks tests/transport tests/client tests/test_websocket.py tests/test_client.py

# Each in an environment of its own; the fast tests, which need no servers of other people's.
test-pythons: ## The library's own tests on every supported Python that is on this machine
	@for version in 3.10 3.11 3.12 3.13; do \
	    python=python$$version; \
	    "$$python" -c '' 2>/dev/null || { echo "$$python is not on this machine"; continue; }; \
	    echo "$$python"; \
	    $(MAKE) test PYTHON=$$python VENV=$(VENV)-$$version SUITES="$(OWN)" || exit 1; \
	done
OWN = tests/driver tests/transport tests/frameworks tests/cli tests/test_*.py

test-all: test test-oldest test-pythons ## All three: before a release

page: $(VENV)/test ## Write the tables of docs/servers.rst
	$(BIN)/python -m tests.support.servers_page

docs: $(VENV)/docs ## Build the documentation: build/docs/index.html
	$(BIN)/python -m sphinx -W --keep-going -q docs build/docs

pictures: $(VENV)/test $(VENV)/machine ## Take and draw docs/pictures: the demo, the states
	$(BIN)/python -m tests.browser.picture
	$(BIN)/python -m tests.support.states_page

# With ARGS not everything may have been run, so that the page stays as it is.
conformance: $(VENV)/test $(VENV)/machine ## Run all conformance tests (18 minutes), write docs/conformance.rst
	rm -rf $(CACHE)/conformance
	CONFORMANCE_RESULTS=$(CACHE)/conformance \
	    $(BIN)/python -m pytest -m conformance --timeout 1800 $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m tests.support.conformance_page $(CACHE)/conformance)

soak: $(VENV)/test ## Stress threads, gevent, eventlet and TLS for a minute or two each
	$(BIN)/python -m pytest -m "stress and long" --timeout 900 $(ARGS)

bench: $(VENV)/bench ## Measure beside the peers (30 minutes), write docs/benchmarks.rst
	$(BIN)/python benchmarks/suite.py --record
	$(BIN)/python benchmarks/clients.py --record
	$(BIN)/python benchmarks/tls_echo.py --record
	$(BIN)/python benchmarks/compressed_echo.py --record
	$(BIN)/python benchmarks/event_fanout.py --record
	$(BIN)/python benchmarks/connections.py --record
	$(BIN)/python benchmarks/page.py
	$(BIN)/python benchmarks/small_message.py
	$(BIN)/python benchmarks/idle.py --ping 0
	$(BIN)/python benchmarks/idle.py
	$(BIN)/python benchmarks/event_parsing.py $(ARGS)
	$(BIN)/python benchmarks/event_streams.py $(ARGS)
	$(BIN)/python benchmarks/event_latency.py $(ARGS)
	$(BIN)/python benchmarks/deflate_speed.py
	$(BIN)/python benchmarks/deflate_memory.py

check: $(VENV)/check ## Lint, formatting, types, layers and the rules of the house
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy --strict
	$(BIN)/python -m pytest -q tests/test_layers.py tests/test_repository.py

format: $(VENV)/check ## Format the code and mend what ruff can mend
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# Not run: whether a hub stalls, for then the tracer is what stalls it; how uWSGI ends, for it ends
# Python within a signal handler, where the tracer aborts it.
UNTRACEABLE = --ignore tests/stress/test_hub.py --deselect "$(STOPS)[uwsgi" --deselect "$(ENDS)[uwsgi"
STOPS = tests/servers/test_every_server.py::test_a_server_starts_answers_and_stops_without_a_traceback
ENDS = tests/servers/test_shutdown.py::test_every_end_of_a_process_is_told_with_1001

coverage: $(VENV)/test $(VENV)/machine ## Run the tests and tell which lines and branches they miss
	$(BIN)/python -m pytest --cov --cov-report=term $(UNTRACEABLE) $(ARGS)

setup: $(VENV)/test ## Look again for what the tests need beside Python packages
	rm -f $(VENV)/machine
	$(MAKE) $(VENV)/machine

clean: ## Remove all that the other targets made
	rm -rf $(VENV) $(VENV)-oldest $(CACHE) node_modules build dist *.egg-info .coverage*
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help demo test test-oldest test-pythons test-all page docs pictures conformance soak bench check format coverage setup clean

# A Python that runs (a shim may not), is of a tested version, and can make an environment. One
# that is newer than the tested ones is the last resort; a PYTHON that was named is only asked
# whether it can do the work.
FIND_PYTHON = \
	find_python() { \
	    for newest in 13 99; do \
	        for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11 python3.10); do \
	            "$$python" -c "import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, $$newest))" \
	                2>/dev/null && return; \
	        done; \
	    done; \
	    echo '$(if $(PYTHON),$(PYTHON) is no Python 3.10 or later that can make a virtual environment.,No Python 3.10 or later that can make a virtual environment was found.)' >&2; \
	    echo 'Install one (on Debian and Ubuntu: apt-get install python3-venv), or name one: make PYTHON=/path/to/python3' >&2; \
	    return 1; \
	}
VERSION = import sys; print(sys.version)

# An environment that works is kept, unless a PYTHON was named and it is of another version.
$(MADE):
	@$(FIND_PYTHON); \
	if $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	    $(if $(PYTHON),find_python || exit 1; test "$$("$$python" -c '$(VERSION)')" = "$$($(BIN)/python -c '$(VERSION)')" || make_anew=yes;) \
	    : ; \
	else \
	    make_anew=yes; \
	fi; \
	if test -n "$$make_anew"; then \
	    find_python || exit 1; \
	    echo "$(VENV): made with $$("$$python" -c '$(VERSION)')"; \
	    "$$python" -m venv --clear $(VENV) || exit 1; \
	fi
	@touch $@

$(VENV)/demo: $(MADE) $(METADATA)
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/test: $(MADE) $(METADATA)
	$(BIN)/python -m pip install --quiet --editable '.[gevent,test]'
	@touch $@

$(VENV)/check: $(MADE) $(METADATA)
	$(BIN)/python -m pip install --quiet --editable '.[gevent,test,check]'
	@touch $@

$(VENV)/docs: $(MADE) $(METADATA)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

$(VENV)/bench: $(MADE) $(METADATA)
	$(BIN)/python -m pip install --quiet --editable '.[gevent,test,bench]'
	@touch $@

# Beside Python packages: Chromium, nginx, Apache, bjoern, npm packages, Autobahn. What cannot
# be had is named, and its tests skip; with CI=true that is a failure. bjoern goes into $(VENV), the
# rest is shared by all environments.
$(VENV)/machine: tests/setup_test_machine.py package.json package-lock.json $(CACHE)/made \
		$(wildcard tests/conformance/setup_autobahn.py) | $(VENV)/test
	$(BIN)/python tests/setup_test_machine.py --cache $(CACHE)
	@touch $@

$(CACHE)/made:
	@mkdir -p $(CACHE)
	@touch $@
