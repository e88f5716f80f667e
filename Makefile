# SPDX-License-Identifier: BSD-3-Clause
# Thin front of meson and of the scripts in tools/.
#   make         builds build/avp            make demo    two Linux guests, started, checked, powered off
#   make check   all tests                   make bench   the figures of docs/performance.md
#   make deps    installs what is needed     make guests  kernel, initrd and disks of examples/two-linux.yaml
BUILD ?= build
JOBS ?= $(shell nproc)

.PHONY: all deps guests demo check bench clean
all: $(BUILD)/build.ninja
	ninja -C $(BUILD) -j $(JOBS)

$(BUILD)/build.ninja:
	meson setup $(BUILD)

deps:
	tools/deps

guests:
	guests/linux/build $(BUILD)/guests ivi cluster

demo: deps
	$(MAKE) all
	$(MAKE) guests
	tools/demo --avp $(BUILD)/avp examples/two-linux.yaml

check: deps
	tools/check

bench: deps
	$(MAKE) all
	meson test -C $(BUILD) --benchmark --num-processes 1 --verbose

clean:
	rm -rf build build-asan build-clang
