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
	set -- "$1" "$2" './boot/vmlinuz-*' '*/lib/modules/*/modules.*'
	for folder in arch crypto drivers/acpi drivers/block drivers/char drivers/crypto/ccp drivers/input \
		drivers/virtio 'drivers/net/*.ko*' fs/9p fs/ext4 fs/fscache fs/fuse fs/jbd2 fs/netfs lib net/9p \
		net/core net/vmw_vsock virt; do
		set -- "$@" "*/lib/modules/*/kernel/$folder"
	done
	package=$1 into=$2
	shift 2
	# Not every kernel has all of these folders.
	dpkg-deb --fsys-tarfile "$package" | tar -x -C "$into" --wildcards "$@" 2>/dev/null || :
	# Debian 13 has them below /usr.
	[ ! -d "$into/usr/lib/modules" ] || mv "$into/usr/lib" "$into/lib"
	[ -d "$into/lib/modules" ] || die "$package holds no modules"
	find "$into/lib/modules" -name '*.ko.xz' -print0 | xargs -0 -r -n 64 -P 2 xz -d
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
