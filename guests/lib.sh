# SPDX-License-Identifier: BSD-3-Clause
# What the guest recipes share: Debian's kernel packages, module trees, cached results. Sourced by sh,
# with the path of this folder in $guests.

CACHE=${AVP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/avp}

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

ARCH=$(dpkg --print-architecture) foreign= suites= apt=
lists=/var/lib/apt/lists

# native COMMAND...: means this system's own architecture and suites, whatever was chosen since.
native()
{
	(
		unset APT_CONFIG
		ARCH=$(dpkg --print-architecture) foreign= suites= apt= lists=/var/lib/apt/lists
		"$@"
	)
}

# use_arch ARCH: whose packages the functions below mean from here on. If they are not this system's, apt gets a
# configuration and lists of its own in the cache, so that the system needs to know nothing of the architecture.
use_arch()
{
	[ "$1" != "$ARCH" ] || return 0
	ARCH=$1 foreign=yes
	unset APT_CONFIG
	own_lists "apt-$ARCH" system_sources
}

# use_suites SUITE...: from here on, packages come from these suites of Debian, the last one preferred, whatever this
# system's own are; with nothing considered installed. After use_arch.
use_suites()
{
	suites=$*
	own_lists "apt-$ARCH-$(echo "$suites" | tr ' ' -)" suite_sources
}

# own_lists NAME SOURCES: apt takes its configuration and its lists from a folder of that name in the cache; the
# function SOURCES prints its sources.
own_lists()
{
	apt=$CACHE/$1
	mkdir -p "$apt"
	exec 9>"$apt/lock"
	flock 9
	# The system's own lists are the measure: `make deps` brings all up to date.
	if [ ! -e "$apt/fresh" ] || [ /var/lib/apt/lists -nt "$apt/fresh" ]; then
		read_lists "$2"
	fi
	exec 9>&-
	lists=$apt/lists
	export APT_CONFIG="$apt/apt.conf"
}

# indexes FORMAT [FILTER...]: of Debian's lists of packages that apt reads.
indexes()
{
	format=$1
	shift
	apt-get indextargets --format "$format" 'Created-By: Packages' 'Origin: Debian' "$@" | sort -u
}

# The line of sources.list up to the address.
source_start()
{
	key=/usr/share/keyrings/debian-archive-keyring.gpg
	[ ! -e $key ] && echo deb || echo "deb [signed-by=$key]"
}

# The system's sources, as far as they are Debian's.
system_sources()
{
	indexes "$(source_start) \$(REPO_URI) \$(RELEASE) \$(COMPONENT)"
}

# $suites, at the address where the system has Debian's main archive.
suite_sources()
{
	address=$(indexes '$(REPO_URI)' 'Label: Debian' | head -n 1)
	[ -z "$address" ] || for suite in $suites; do
		echo "$(source_start) $address $suite main"
	done
}

# read_lists SOURCES: the lists for $ARCH into "$apt".
read_lists()
{
	echo "reading Debian's lists of packages for $ARCH${suites:+ in $suites}" >&2
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
	: >"$apt/status"
	$1 >"$apt/sources.list"
	[ -s "$apt/sources.list" ] || die "apt has no lists of Debian's; run 'make deps' first"
	cat >"$apt/apt.conf" <<-EOF
		APT::Architecture "$ARCH";
		APT::Architectures { "$ARCH"; };
		APT::Default-Release "${suites##* }";
		APT::Sandbox::User "root";
		Dir::State "$apt";
		Dir::State::lists "$apt/lists";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt/cache";
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "/dev/null";
	EOF
	touch "$apt/fresh.new"
	if APT_CONFIG=$apt/apt.conf apt-get -qq update >&2; then
		mv "$apt/fresh.new" "$apt/fresh"
	elif [ ! -e "$apt/fresh" ]; then
		die "cannot read Debian's lists of packages for $ARCH${suites:+ in $suites}"
	fi
}

# answer COMMAND...: what the command, a question to apt, prints. Remembered as long as apt's lists stay the same,
# because apt takes seconds to read them.
answer()
{
	file=$CACHE/answers/$(echo "$ARCH${suites:+ in $suites:} $*" | sha256sum | cut -c1-16)
	if [ ! -s "$file" ] || [ "$lists" -nt "$file" ]; then
		mkdir -p "$CACHE/answers"
		"$@" >"$file.$$" && mv "$file.$$" "$file" || { rm -f "$file.$$"; return 1; }
	fi
	cat "$file"
}

ask_kernel()
{
	apt-cache show --no-all-versions "$1" 2>/dev/null |
		sed -n 's/^Depends:.*\(linux-image-[0-9][^ ]*\) (= \([^)]*\)).*/\1 \2/p' | head -n 1
}

# kernel_package META: "PACKAGE VERSION" that the metapackage depends on in the newest version known to apt.
kernel_package()
{
	answer ask_kernel "$1"
}

# kernel_6_12: "PACKAGE VERSION" of Debian's full kernel of that series.
kernel_6_12()
{
	for meta in "linux-image-6.12-$ARCH" "linux-image-$ARCH"; do
		found=$(kernel_package "$meta")
		case $found in
		linux-image-6.12.*) echo "$found"; return ;;
		esac
	done
	die "apt knows no kernel 6.12 for $ARCH; run 'make deps' first"
}

ask_version()
{
	apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p' | head -n 1
}

# package_version PACKAGE: the newest version known to apt.
package_version()
{
	answer ask_version "$1"
}

# fetch_newest PACKAGE: downloads its newest version into the cache; prints its path.
fetch_newest()
{
	newest=$(package_version "$1")
	[ -n "$newest" ] || die "apt knows no $1${suites:+ in $suites}; run 'make deps' first"
	fetch_deb "$1" "$newest"
}

# fetch_deb PACKAGE VERSION: downloads it into the cache; prints its path.
fetch_deb()
{
	deb=$CACHE/debs/$1_$2_$ARCH.deb
	[ -s "$deb" ] && echo "$deb" && return
	mkdir -p "$CACHE/debs"
	tmp=$(mktemp -d "$CACHE/debs/.new.XXXXXX")
	echo "downloading Debian's $1 $2 for $ARCH" >&2
	(cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download "$1=$2" >&2) &&
		mv "$tmp"/*.deb "$deb"
	status=$?
	rm -rf "$tmp"
	[ $status -eq 0 ] || outdated "$1 $2"
	echo "$deb"
}

# outdated WHAT: the mirror does not have what the lists name.
outdated()
{
	[ -z "$apt" ] || rm -f "$apt/fresh"
	die "cannot download $1; 'make deps' brings apt's lists up to date, then try again"
}

ask_closure()
{
	apt-get -qq --no-install-recommends --print-uris install "$@" | cut -d ' ' -f 2
}

# closure PACKAGE...: the file names of the packages and of all that they depend on; after use_arch or use_suites.
closure()
{
	answer ask_closure "$@" || die "apt cannot resolve for $ARCH: $*"
}

# fetch_closure PACKAGE...: downloads them into $CACHE/debs under these names.
fetch_closure()
{
	mkdir -p "$CACHE/debs/partial"
	exec 9>"$apt/lock"
	flock 9
	echo "downloading Debian's packages for $ARCH: $*" >&2
	apt-get -qq --no-install-recommends --download-only -y -o Dir::Cache::archives="$CACHE/debs" install "$@" >&2 ||
		outdated "$*"
	exec 9>&-
}

# unpack_kernel DEB DIR [FOLDER...]: the kernel and its modules, decompressed, only of the folders that all guests use,
# and of these.
unpack_kernel()
{
	package=$1 into=$2
	shift 2
	more=$*
	set -- './boot/vmlinuz-*' '*/lib/modules/*/modules.*'
	for folder in $more arch crypto drivers/acpi drivers/block drivers/char drivers/crypto/ccp drivers/input \
		drivers/virtio drivers/watchdog 'drivers/net/*.ko*' fs/9p fs/efivarfs fs/ext4 fs/fscache fs/fuse \
		fs/jbd2 'fs/mbcache.ko*' fs/netfs lib net/9p net/core net/vmw_vsock virt; do
		set -- "$@" "*/lib/modules/*/kernel/$folder"
	done
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

# busybox_file: the path of a static busybox for $ARCH. The names in it are taken to be those of this system's.
busybox_file()
{
	if [ -z "$foreign" ]; then
		command -v busybox
	else
		busybox_tree=$("$guests/tree" "$ARCH" busybox-static) || die "no busybox for $ARCH"
		echo "$busybox_tree/bin/busybox"
	fi
}

# add_busybox DIR: a root with busybox and its names.
add_busybox()
{
	mkdir -p "$1/bin" "$1/dev" "$1/proc" "$1/sys" "$1/run" "$1/tmp" "$1/etc" "$1/root" "$1/mnt"
	ln -sf bin "$1/sbin"
	cp "$(busybox_file)" "$1/bin/busybox"
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
