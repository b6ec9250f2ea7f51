#!/bin/sh
# Runs tests on a machine that has cgroups v2 alone, whatever this one has: test/cgroup2.sh NAME… (as of test/run.ts).
# Debian's kernel in qemu, without KVM (some machines have it and cannot use it, so all are slow alike); the machine's files
# are this one's, read-only, and what is written over them lies in the guest's memory. Needs root, qemu-system-x86, cpio and
# busybox-static; the kernel is fetched once, as a Debian package. Not part of CI.
set -eu

[ $# -gt 0 ] || { echo "usage: $0 NAME…" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)
here=${MESHNOMAD_CGROUP2_DIR:-/tmp/meshnomad-cgroup2}
timeout_s=${MESHNOMAD_CGROUP2_TIMEOUT_S:-1800}
mkdir -p "$here"

if [ ! -d "$here/kernel" ]; then
  package=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p')
  (cd "$here" && apt-get -qq download "$package" && dpkg -x "$package"_*.deb kernel.new && rm "$package"_*.deb)
  version=$(ls "$here/kernel.new/lib/modules")
  depmod -b "$here/kernel.new" "$version"
  mv "$here/kernel.new" "$here/kernel"
fi
version=$(ls "$here/kernel/lib/modules")
modules=$here/kernel/lib/modules/$version

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/first/bin"
cp "$(command -v busybox)" "$work/first/bin/busybox"
: >"$work/first/mods"

add() ( # add MODULE: after those that it needs
  for needed in $(sed -n "s|^$1:||p" "$modules/modules.dep"); do add "$needed"; done
  grep -qx "$1" "$work/first/mods" && exit 0
  mkdir -p "$work/first/$(dirname "$1")"
  cp "$modules/$1" "$work/first/$1"
  echo "$1" >>"$work/first/mods"
)
add kernel/drivers/virtio/virtio_pci.ko
add kernel/net/9p/9pnet_virtio.ko
add kernel/fs/9p/9p.ko
add kernel/fs/overlayfs/overlay.ko

cat >"$work/first/init" <<'EOF'
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /below /over /all
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod "/$module"; done </mods
/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro host /below
/bin/busybox mount -t tmpfs -o size=4g over /over
/bin/busybox mkdir /over/files /over/work
/bin/busybox mount -t overlay -o lowerdir=/below,upperdir=/over/files,workdir=/over/work all /all
for dir in proc sys dev; do /bin/busybox mount --move /$dir /all/$dir; done
/bin/busybox cp /second /all/tmp/second
exec /bin/busybox switch_root /all /bin/sh /tmp/second
EOF
chmod 755 "$work/first/init"

cat >"$work/first/second" <<EOF
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/lock /dev/pts /dev/shm
# What runs on top of an overlay cannot be one: dockerd's own storage and the like.
mount -t tmpfs tmp /var/lib
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
ln -sf /proc/self/fd /dev/fd
mount -t cgroup2 cgroup /sys/fs/cgroup
# As systemd has it: processes in a group of their own, so that controllers can be handed on.
mkdir /sys/fs/cgroup/init.scope
echo \$\$ >/sys/fs/cgroup/init.scope/cgroup.procs
for name in \$(cat /sys/fs/cgroup/cgroup.controllers); do echo "+\$name" >/sys/fs/cgroup/cgroup.subtree_control; done
rm -rf /lib/modules && ln -s "$here/kernel/lib/modules" /lib/modules
ip link set lo up
echo 0 >/proc/sys/kernel/printk
cd "$root"
node dist/test/run.js --jobs 1 --timeout 1200 $*
echo "machine: ended with \$?"
poweroff -f
EOF
(cd "$work/first" && find . | cpio -o -H newc --quiet | gzip -1 >"$work/initrd.gz")

timeout -k 5 "$timeout_s" nice qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 6144 -nographic -no-reboot \
  -kernel "$here/kernel/boot/vmlinuz-$version" -initrd "$work/initrd.gz" \
  -append 'console=ttyS0 quiet panic=-1 cgroup_no_v1=all net.ifnames=0' \
  -virtfs "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap" |
  sed -u 's/\r//' | tee "$work/said"
grep -q '^machine: ended with 0' "$work/said"
