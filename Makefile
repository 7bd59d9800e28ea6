# Each target is a script of its own under scripts/; this file only names them.
# Arguments for the program or the tests go into ARGS:
#   make run ARGS='--uri qemu+ssh://host/system'
#   make test ARGS='--test guests'

ARGS ?=

.PHONY: help run test lint bench pictures torture lab lab-down

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: ## install what the build needs, build, open the screen
	@scripts/run $(ARGS)

test: ## install what the tests need, run them all, list what was skipped
	@scripts/test $(ARGS)

lint: ## formatting, clippy, documentation, licences, scripts
	@scripts/lint

bench: ## install what the benchmarks compare with, run them side by side
	@scripts/bench $(ARGS)

pictures: ## draw the pictures of README anew
	@scripts/pictures

torture: ## the long seeded runs of the tests
	@KVMSCOPE_TORTURE=1 scripts/test --release $(ARGS)

lab: ## start real guests to look at, in namespaces of their own (root)
	@scripts/setup lab
	@scripts/lab up
	@scripts/lab how-to-open

lab-down: ## end what `make lab` started
	@scripts/lab down
