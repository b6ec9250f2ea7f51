#!/bin/sh
# Builds the plugins beside this file with the real go-plugin library as Debian packages it, offline:
#   apt-get install golang-go golang-github-hashicorp-go-plugin-dev golang-google-grpc-dev golang-github-vmihailenco-msgpack.v5-dev
#                   protobuf-compiler protoc-gen-go-1-3
#   sh test/plugin/go/build.sh OUT_FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
src=$work/src/meshnomad.test
mkdir -p "$src" "$out"
cp -r "$here"/* "$src"
cd "$here/../../../lib/plugin/proto"
map=",Mgoogle/protobuf/wrappers.proto=github.com/golang/protobuf/ptypes/wrappers"
for type in duration timestamp empty; do
  map="$map,Mgoogle/protobuf/$type.proto=github.com/golang/protobuf/ptypes/$type"
done
for file in hclspec base shared driver device scaler-base scaler-shared scaler-apm scaler-strategy scaler-target; do
  package=$(sed -n 's/^option go_package = "\(.*\)";$/\1/p' "$file.proto")
  map="$map,M$file.proto=meshnomad.test/pb/$package"
done
for file in hclspec base shared driver device scaler-base scaler-shared scaler-apm scaler-strategy scaler-target; do
  package=$(sed -n 's/^option go_package = "\(.*\)";$/\1/p' "$file.proto")
  mkdir -p "$src/pb/$package"
  protoc -I. --go_out="plugins=grpc,paths=source_relative$map:$src/pb/$package" "$file.proto" 2>"$work/protoc" || { cat "$work/protoc"; exit 1; }
done
for plugin in driver device scaler; do
  GO111MODULE=off GOPATH=$work:/usr/share/gocode GOFLAGS=-trimpath CGO_ENABLED=0 go build -ldflags='-s -w' -o "$out/go-$plugin" "meshnomad.test/$plugin"
done
