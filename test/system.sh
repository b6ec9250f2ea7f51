#!/bin/sh
# Brings what the integration tests need from the system: as root on Debian or Ubuntu it is installed, elsewhere what is
# missing is named, and the tests that need it are skipped.
set -eu

missing=""
need() { # need PROGRAM PACKAGE
  command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need dockerd docker.io
need runc runc
need crun crun
need podman podman
[ -x /usr/lib/podman/netavark ] || command -v netavark >/dev/null 2>&1 || missing="$missing netavark"
need ip iproute2
[ -x /usr/lib/cni/bridge ] || missing="$missing containernetworking-plugins"
need iptables iptables
need conntrack conntrack
need busybox busybox-static
need ps procps
need tar tar
need getfattr attr
need git git
need openssl openssl
need bzip2 bzip2
need xz xz-utils
need zstd zstd
need zip zip
need losetup mount
need mkfs.ext4 e2fsprogs
need mkfs.xfs xfsprogs
need bindfs bindfs
need faketime faketime
need psql postgresql
need prometheus prometheus
need ipmitool ipmitool
need ipmi_sim openipmi
need ssh openssh-client
need /usr/sbin/sshd openssh-server
need nix-instantiate nix-bin
need systemd-analyze systemd

[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing$missing"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # shellcheck disable=SC2086
  if { apt-get update -q && apt-get install -qy --no-install-recommends $missing; } >"$log" 2>&1; then
    rm -f "$log"
    exit 0
  fi
  tail -n 20 "$log"
  rm -f "$log"
fi
echo "not installed:$missing; tests that need them are skipped (as root on Debian or Ubuntu this command installs them)"
