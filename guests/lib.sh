# SPDX-License-Identifier: BSD-3-Clause
# What the guest recipes share: Debian's kernel packages, module trees, cached results. Sourced by sh.

CACHE=${AVP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/avp}

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# kernel_package META: "PACKAGE VERSION" that the metapackage depends on in the newest version known to apt.
kernel_package()
{
	apt-cache show --no-all-versions "$1" 2>/dev/null |
		sed -n 's/^Depends:.*\(linux-image-[0-9][^ ]*\) (= \([^)]*\)).*/\1 \2/p' | head -n 1
}

# fetch_deb PACKAGE VERSION: downloads it into the cache; prints its path.
fetch_deb()
{
	deb=$CACHE/debs/$1_$2.deb
	[ -s "$deb" ] && echo "$deb" && return
	mkdir -p "$CACHE/debs"
	tmp=$(mktemp -d "$CACHE/debs/.new.XXXXXX")
	echo "downloading Debian's $1 $2" >&2
	(cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download "$1=$2" >&2) &&
		mv "$tmp"/*.deb "$deb"
	status=$?
	rm -rf "$tmp"
	[ $status -eq 0 ] || die "cannot download $1 $2; 'make deps' brings apt's lists up to date"
	echo "$deb"
}

# unpack_kernel DEB DIR: the kernel and its modules, decompressed, only of the folders that guests use.
unpack_kernel()
{
	dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --wildcards './boot/vmlinuz-*' \
		'./lib/modules/*/modules.*' './lib/modules/*/kernel/arch' './lib/modules/*/kernel/crypto' \
		'./lib/modules/*/kernel/drivers/acpi' './lib/modules/*/kernel/drivers/block' \
		'./lib/modules/*/kernel/drivers/char' './lib/modules/*/kernel/drivers/crypto/ccp' \
		'./lib/modules/*/kernel/drivers/input' \
		'./lib/modules/*/kernel/drivers/virtio' './lib/modules/*/kernel/drivers/net/*.ko*' \
		'./lib/modules/*/kernel/fs/9p' './lib/modules/*/kernel/fs/ext4' \
		'./lib/modules/*/kernel/fs/fscache' './lib/modules/*/kernel/fs/fuse' \
		'./lib/modules/*/kernel/fs/jbd2' './lib/modules/*/kernel/fs/netfs' \
		'./lib/modules/*/kernel/lib' './lib/modules/*/kernel/net/9p' \
		'./lib/modules/*/kernel/net/core' './lib/modules/*/kernel/net/vmw_vsock' \
		'./lib/modules/*/kernel/virt' 2>/dev/null || :
	[ -d "$2/lib/modules" ] || die "$1 holds no modules"
	find "$2/lib/modules" -name '*.ko.xz' -print0 | xargs -0 -r -n 64 -P 2 xz -d
}

# copy_modules FROM TO NAME...: the modules (_ also stands for -), what they depend on, and the list for modprobe.
# A module that is not there is built into the kernel, or the kernel does not have it: the guest does without.
copy_modules()
{
	from=$1 to=$2
	shift 2
	release=$(ls "$from/lib/modules")
	(cd "$from" && busybox depmod -b . "$release")
	dep=$from/lib/modules/$release/modules.dep
	for name; do
		sed -n "s,^\(.*/$(echo "$name" | sed 's/_/[-_]/g')\.ko\):\(.*\),\1\2,p" "$dep"
	done | tr ' ' '\n' | sort -u | while read -r file; do
		[ -n "$file" ] || continue
		mkdir -p "$to/lib/modules/$release/${file%/*}"
		cp "$from/lib/modules/$release/$file" "$to/lib/modules/$release/$file"
	done
	cp "$from/lib/modules/$release/modules.builtin" "$to/lib/modules/$release/"
	(cd "$to" && busybox depmod -b . "$release")
}

# add_busybox DIR: a root with busybox and its names.
add_busybox()
{
	mkdir -p "$1/bin" "$1/dev" "$1/proc" "$1/sys" "$1/run" "$1/tmp" "$1/etc" "$1/root" "$1/mnt"
	ln -sf bin "$1/sbin"
	cp "$(command -v busybox)" "$1/bin/busybox"
	busybox --list | while read -r name; do
		[ "$name" = busybox ] || ln -sf busybox "$1/bin/$name"
	done
}

# make_initrd DIR FILE: not compressed, because nobody waits for its transfer but every boot for its unpacking.
make_initrd()
{
	(cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$2"
}

# publish NEW DIR: makes a finished result appear at once; another build that was faster is as good.
publish()
{
	chmod 755 "$1"
	mv -T "$1" "$2" 2>/dev/null || rm -rf "$1"
	[ -d "$2" ] || die "cannot create $2"
}
