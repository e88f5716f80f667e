/* SPDX-License-Identifier: BSD-3-Clause */
#include "conformance/host/guest_vm.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/loop.h"
#include "base/util.h"
#include "conformance/host/guest_image.h"

#define ECHO_MS	 30000
#define LEAVE_NS (UINT64_C(5) * 1000000000) /* from "done" to the guest's power-off */
#define PAUSE_MS 10

/* The image that our own platform starts. */
#ifdef __aarch64__
#define OWN_FORMAT "arm64"
#else
#define OWN_FORMAT "pvh"
#endif

/* Command lines. */

void vm_arg(struct vm_args *a, const char *fmt, ...)
{
	char **v = reallocarray(a->v, a->n + 2, sizeof(*v));
	va_list args;

	if (!v) {
		a->failed = true;
		return;
	}
	a->v = v;
	va_start(args, fmt);
	if (vasprintf(&v[a->n], fmt, args) < 0) {
		v[a->n] = NULL;
		a->failed = true;
	}
	va_end(args);
	if (v[a->n])
		v[++a->n] = NULL;
}

void vm_args_free(struct vm_args *a)
{
	for (unsigned i = 0; i < a->n; i++)
		free(a->v[i]);
	free(a->v);
	*a = (struct vm_args){ .v = NULL };
}

char *vm_find_avp(void)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash, *path;

	if (n < 0)
		return NULL;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	if (asprintf(&path, "%s/avp", self) < 0)
		return NULL;
	if (!access(path, X_OK))
		return path;
	free(path);
	return asprintf(&path, "%s/../../bin/avp", self) < 0 ? NULL : path;
}

/* Text with every {image} and {cmdline} replaced, owned by the caller. */
static char *expand(const struct vm *vm, const char *text, const char *words)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	if (!f)
		return NULL;
	while (*text) {
		if (!strncmp(text, "{image}", 7)) {
			fputs(vm->image, f);
			text += 7;
		} else if (!strncmp(text, "{cmdline}", 9)) {
			fputs(words, f);
			text += 9;
		} else {
			fputc(*text++, f);
		}
	}
	if (fclose(f) == 0)
		return out;
	free(out);
	return NULL;
}

int vm_args_command(struct vm *vm, const char *words, struct err *e)
{
	for (char *const *word = vm->opts->command; *word; word++) {
		autofree char *text = expand(vm, *word, words);

		vm->args.failed |= !text;
		if (text)
			vm_arg(&vm->args, "%s", text);
	}
	return 0;
}

bool vm_command_has(char *const *command, const char *mark)
{
	for (char *const *word = command; *word; word++)
		if (strstr(*word, mark))
			return true;
	return false;
}

bool vm_has_words(const struct vm *vm)
{
	return vm->opts->platform || vm_command_has(vm->opts->command, "{cmdline}");
}

/* Set-up. */

bool vm_is_avp(const struct vm *vm)
{
	return vm->opts->platform && !strcmp(vm->opts->platform, "avp");
}

static const char *image_format(const struct vm_opts *o)
{
	if (!o->platform)
		return o->format;
	if (!strcmp(o->platform, "avp"))
		return OWN_FORMAT;
	return strcmp(o->platform, "virt") != 0 ? "pvh" : "arm64";
}

static int find_image(struct vm *vm, struct err *e)
{
	if (vm->opts->image) {
		vm->image = realpath(vm->opts->image, NULL);
		return vm->image ? 0 : err_sys(e, -errno, "image '%s'", vm->opts->image);
	}
	vm->image = place_path(&vm->place, "image");
	if (!vm->image)
		return err_set(e, -ENOMEM, "no memory");
	if (!vm->opts->platform && !vm_command_has(vm->opts->command, "{image}"))
		return 0;
	return guest_image_write(image_format(vm->opts), vm->image, e);
}

static int open_serial(struct vm *vm, struct guest_serial *s, const char *name, struct err *e)
{
	autofree char *path = place_path(&vm->place, name);

	s->show = vm->opts->verbose;
	return path ? guest_serial_open(s, path, e) : err_set(e, -ENOMEM, "no memory");
}

static int make_serial(struct vm *vm, const char *name, struct err *e)
{
	autofree char *path = place_path(&vm->place, name);

	return path ? guest_serial_make(path, e) : err_set(e, -ENOMEM, "no memory");
}

int vm_release(struct vm *vm, struct err *e)
{
	return open_serial(vm, &vm->serial, "serial", e);
}

static int open_neighbour(struct vm *vm, struct err *e)
{
	int ret = make_serial(vm, "neighbour", e);

	if (!ret)
		ret = open_serial(vm, &vm->neighbour, "neighbour", e);
	return ret ? ret : place_disk(&vm->place, "disk2", PLACE_DISK_SIZE, e);
}

int vm_open(struct vm *vm, const struct vm_opts *opts, struct err *e)
{
	int ret;

	*vm = (struct vm){ .opts = opts, .serial.fd = -1, .neighbour.fd = -1 };
	ret = place_open(&vm->place, e);
	if (!ret)
		ret = find_image(vm, e);
	if (!ret)
		ret = place_disk(&vm->place, "disk0", PLACE_DISK_SIZE, e);
	if (!ret)
		ret = place_disk(&vm->place, "disk1", PLACE_DISK_SIZE, e);
	if (!ret)
		ret = make_serial(vm, "serial", e);
	if (!ret)
		ret = opts->neighbour ? open_neighbour(vm, e) : vm_release(vm, e);
	vm->messages = place_path(&vm->place, vm_is_avp(vm) ? "messages" : "serial");
	return ret || vm->messages ? ret : err_set(e, -ENOMEM, "no memory");
}

static void forget_boot(struct vm *vm)
{
	vm_args_free(&vm->args);
	vm->mmio = 0;
	for (unsigned i = 0; i < VM_ECHOES_MAX; i++) {
		free(vm->echo[i]);
		vm->echo[i] = NULL;
	}
}

void vm_close(struct vm *vm)
{
	vm_kill(vm);
	forget_boot(vm);
	guest_serial_close(&vm->serial);
	guest_serial_close(&vm->neighbour);
	place_close(&vm->place);
	free(vm->image);
	free(vm->messages);
}

/* Running. */

static int make_args(struct vm *vm, const char *words, struct err *e)
{
	int ret;

	forget_boot(vm);
	if (!vm->opts->platform)
		ret = vm_args_command(vm, words, e);
	else if (vm_is_avp(vm))
		ret = vm_args_avp(vm, words, e);
	else
		ret = vm_args_qemu(vm, words, e);
	if (!ret && vm->args.failed)
		ret = err_set(e, -ENOMEM, "no memory for a command line");
	return ret;
}

static void pause_ms(unsigned ms)
{
	const struct timespec t = { .tv_nsec = (long)ms * 1000000 };

	nanosleep(&t, NULL);
}

/* Waits until the file is there. False if the hypervisor ended before, which whoever watches it
 * will find out. */
static bool appears(struct vm *vm, const char *path)
{
	uint64_t deadline = ev_now_ns() + ECHO_MS * UINT64_C(1000000);

	while (access(path, F_OK) < 0 && ev_now_ns() < deadline) {
		if (child_ended(&vm->child))
			return false;
		pause_ms(PAUSE_MS);
	}
	return true;
}

static int start_echoes(struct vm *vm, struct err *e)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < VM_ECHOES_MAX; i++)
		if (vm->echo[i] && appears(vm, vm->echo[i]))
			ret = child_echo(&vm->echoes[i], vm->echo[i], ECHO_MS, e);
	return ret;
}

static void stop_echoes(struct vm *vm)
{
	for (unsigned i = 0; i < VM_ECHOES_MAX; i++) {
		if (!vm->echoes[i])
			continue;
		kill(vm->echoes[i], SIGKILL);
		while (waitpid(vm->echoes[i], NULL, 0) < 0 && errno == EINTR)
			continue;
		vm->echoes[i] = 0;
	}
}

int vm_boot(struct vm *vm, const char *words, struct err *e)
{
	int ret;

	vm_kill(vm);
	ret = make_args(vm, words, e);
	if (ret)
		return ret;
	if (vm->opts->neighbour)
		guest_serial_close(&vm->serial);
	guest_serial_drop(&vm->serial);
	guest_serial_drop(&vm->neighbour);
	vm->serial.last_ns = ev_now_ns();
	vm->child = (struct child){ .argv = vm->args.v, .log = vm->messages };
	ret = child_start(&vm->child, e);
	return ret ? ret : start_echoes(vm, e);
}

void vm_kill(struct vm *vm)
{
	stop_echoes(vm);
	if (vm_is_avp(vm) && !child_ended(&vm->child))
		vm_kill_avp(vm);
	child_kill(&vm->child);
}

void vm_stop(struct vm *vm)
{
	uint64_t deadline = ev_now_ns() + LEAVE_NS;

	while (!child_ended(&vm->child) && ev_now_ns() < deadline)
		pause_ms(PAUSE_MS);
	vm_kill(vm);
}
