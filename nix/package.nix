{
  lib,
  stdenv,
  buildNpmPackage,
  importNpmLock,
  nodejs,
  autoPatchelfHook,
}:
let
  manifest = lib.importJSON ../package.json;
  # As the native packages name their prebuilt folders.
  platform = "${stdenv.hostPlatform.node.platform}-${stdenv.hostPlatform.node.arch}";
in
buildNpmPackage {
  pname = "meshnomad";
  inherit (manifest) version;
  inherit nodejs;

  src = lib.cleanSourceWith {
    src = ../.;
    filter =
      path: _:
      !(builtins.elem (baseNameOf path) [
        "node_modules"
        "dist"
        ".git"
      ]);
  };

  # Fetched by the hashes of package-lock.json: there is no further hash to keep up to date.
  npmDeps = importNpmLock { npmRoot = ../.; };
  npmConfigHook = importNpmLock.npmConfigHook;
  npmFlags = [ "--ignore-scripts" ];

  nativeBuildInputs = lib.optional stdenv.hostPlatform.isLinux autoPatchelfHook;
  buildInputs = lib.optional stdenv.hostPlatform.isLinux stdenv.cc.cc.lib;

  # The native packages bring binaries for all platforms, 200 MB of them.
  postInstall = ''
    find $out -type d -name prebuilds | while read -r folder; do
      find "$folder" -mindepth 1 -maxdepth 1 ! -name '${platform}' -exec rm -rf {} +
    done
  '';

  meta = {
    inherit (manifest) description;
    license = lib.licenses.mpl20;
    mainProgram = "meshnomad";
    platforms = lib.platforms.linux;
  };
}
