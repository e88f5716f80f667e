# SPDX-License-Identifier: BSD-3-Clause
# Thin front of meson and of the scripts in tools/.
#   make         builds build/avp            make demo    two Linux guests, started, checked, powered off
#   make check   all tests                   make bench   the figures of docs/performance.md
#   make faults  kill -9 of every process 500 times under load (docs/robustness.md)
#   make deps    installs what is needed     make guests  kernel, initrd and disks of examples/two-linux.yaml
#   make demo-vehicle a drive over two CAN buses: sensors, gateway, cluster (docs/gateway.md)
#   make demo-arm64   two arm64 Linux guests and one under a watchdog, on the emulated arm64 board
#   make proofs  the virtqueue's proofs by CBMC (docs/robustness.md)
#   make fuzz MINUTES=20   the fuzz targets, that many minutes of CPU time each (docs/robustness.md)
#   make instructions     records what devices execute for each request, which a test compares (docs/performance.md)
#   make soak SOAK_MINUTES=60   examples under sanitizers: nothing may grow (docs/robustness.md)
#   make arm64   builds build-arm64/avp, which runs on arm64 computers and on the emulated arm64 board
BUILD ?= build
BUILD_ARM64 ?= build-arm64
BUILD_FUZZ ?= build-fuzz
MINUTES ?= 20
SOAK_MINUTES ?= 60
JOBS ?= $(shell nproc)

.PHONY: all arm64 deps guests guests-arm64 guests-vehicle demo demo-arm64 demo-vehicle check bench instructions fuzz proofs faults soak clean
all: $(BUILD)/build.ninja
	ninja -C $(BUILD) -j $(JOBS)

$(BUILD)/build.ninja:
	meson setup $(BUILD)

arm64:
	tools/arm64 $(BUILD_ARM64)
	ninja -C $(BUILD_ARM64) -j $(JOBS)

deps:
	tools/deps

guests:
	guests/linux/build $(BUILD)/guests ivi cluster

# The disk of ivi boots by itself: what follows its name is its kernel command line.
guests-arm64:
	guests/linux/build --arch arm64 $(BUILD)/guests-arm64 cluster \
		'ivi=console=ttyAMA0 console=hvc0 quiet panic=-1 $(IVI)'
IVI = avp.name=ivi avp.address=192.168.7.1/24 avp.peer=192.168.7.2 avp.peer-cid=4

demo: deps
	$(MAKE) all
	$(MAKE) guests
	tools/demo --avp $(BUILD)/avp examples/two-linux.yaml

demo-arm64: deps
	$(MAKE) all arm64
	$(MAKE) guests-arm64
	tools/demo --avp $(BUILD)/avp --watched brake examples/arm64.yaml

# A vehicle guest with the script of the gateway example.
guests-vehicle:
	mkdir -p $(BUILD)/guests-vehicle
	guests/linux/build --vehicle $(BUILD)/guests-vehicle
	guests/linux/pack --vehicle guests/linux/drive.sh >$(BUILD)/guests-vehicle/initrd

demo-vehicle: deps
	$(MAKE) all
	$(MAKE) guests-vehicle
	tools/demo-vehicle --avp $(BUILD)/avp examples/gateway-linux.yaml

check: deps
	tools/check

instructions: deps
	$(MAKE) all
	ninja -C $(BUILD) instructions

bench:
	tools/deps bench
	$(MAKE) all arm64
	meson test -C $(BUILD) --benchmark --num-processes 1 --verbose

$(BUILD_FUZZ)/build.ninja:
	CC=clang meson setup $(BUILD_FUZZ) -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false

fuzz: deps
	$(MAKE) $(BUILD_FUZZ)/build.ninja
	ninja -C $(BUILD_FUZZ) -j $(JOBS) fuzz
	tools/fuzz --build $(BUILD_FUZZ) --minutes $(MINUTES)

proofs: deps
	proofs/run

faults: deps
	$(MAKE) all
	tools/faults $(BUILD)

build-asan/build.ninja:
	meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false

build-tsan/build.ninja:
	meson setup build-tsan -Db_sanitize=thread -Db_lundef=false

# The guests are those of the plain build.
soak: deps build-asan/build.ninja build-tsan/build.ninja
	$(MAKE) all
	ninja -C build-asan -j $(JOBS) avp
	ninja -C build-tsan -j $(JOBS) avp
	tools/soak --minutes $(SOAK_MINUTES) --guests $(BUILD) build-asan
	tools/soak --minutes $(SOAK_MINUTES) --guests $(BUILD) --jail off build-tsan

clean:
	rm -rf build build-arm64 build-asan build-clang build-tsan build-fuzz
