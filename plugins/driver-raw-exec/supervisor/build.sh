#!/bin/sh
# Builds the supervisor into ../prebuilt for x64 and arm64: the same compiler and musl give the same bytes.
#   apt-get install musl-tools gcc-aarch64-linux-gnu
#   MUSL_ARM64: where musl-dev:arm64 was unpacked (dpkg --add-architecture arm64; apt-get download musl-dev:arm64;
#   dpkg -x musl-dev_*_arm64.deb DIR). Without it only x64 is built.
#   build.sh CC OUTPUT builds one binary with any compiler, as a machine of another architecture does at first use.
set -eu
cd "$(dirname "$0")"
SOURCES='main.c spec.c log.c tree.c container.c'
FLAGS='-std=gnu11 -Os -Wall -Wextra -Werror -static -s -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections
  -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,noseparate-code'

if [ $# -eq 2 ]; then
  # shellcheck disable=SC2086
  exec "$1" -std=gnu11 -Os -static -s -o "$2" $SOURCES
fi

prebuilt=${PREBUILT:-../prebuilt}
mkdir -p "$prebuilt/linux-x64"
# shellcheck disable=SC2086
musl-gcc $FLAGS -o "$prebuilt/linux-x64/meshnomad-supervisor" $SOURCES
versions="x64 $(musl-gcc -dumpfullversion)"
if [ -n "${MUSL_ARM64:-}" ]; then
  mkdir -p "$prebuilt/linux-arm64"
  lib=$MUSL_ARM64/usr/lib/aarch64-linux-musl
  # shellcheck disable=SC2086
  aarch64-linux-gnu-gcc $FLAGS -nostdinc -isystem "$MUSL_ARM64/usr/include/aarch64-linux-musl" \
    -isystem "$(aarch64-linux-gnu-gcc -print-file-name=include)" -nostdlib -mno-outline-atomics \
    -o "$prebuilt/linux-arm64/meshnomad-supervisor" "$lib/crt1.o" "$lib/crti.o" $SOURCES \
    "$lib/libc.a" "$(aarch64-linux-gnu-gcc -print-libgcc-file-name)" "$lib/crtn.o"
  versions="$versions
arm64 $(aarch64-linux-gnu-gcc -dumpfullversion)"
fi
# What the binaries were made from: a test compares it with the sources that lie here.
{
  echo "sources $(cat supervisor.h $SOURCES build.sh | sha256sum | cut -d' ' -f1)"
  echo "$versions"
} >"$prebuilt/BUILD"
