# What nix/module.nix makes of a machine: `nix-instantiate --eval --strict --json machine.nix --arg machine '{ … }'`. What NixOS
# declares, and pkgs, are stand-ins; lib is the small one beside this file unless another is named.
{
  machine ? { },
  lib ? toString ./lib.nix,
  package ? "/run/meshnomad",
}:
let
  library = import (/. + lib);
  inherit (library) mkOption types;
  pkgs = {
    coreutils = "/usr";
    cni-plugins = "/cni";
    iproute2 = "/iproute2";
    iptables = "/iptables";
    runc = "/runc";
    util-linux = "/util-linux";
    callPackage = _: _: throw "the test names a package";
    formats.json = _: {
      type = types.anything;
      generate = name: value: "/generated/${name}";
    };
  };
  list = mkOption { type = types.listOf types.anything; default = [ ]; };
  switch = mkOption { type = types.bool; default = false; };
  nixos.options = {
    assertions = list;
    environment.systemPackages = list;
    systemd.services = mkOption { type = types.attrsOf types.anything; default = { }; };
    networking.firewall = { allowedTCPPorts = list; allowedUDPPorts = list; };
    virtualisation.docker.enable = switch;
    hardware.nvidia-container-toolkit.enable = switch;
  };
  named.services.meshnomad.package = { type = "derivation"; name = "meshnomad"; outPath = package; };
  inherit (library.evalModules {
    modules = [ nixos ../../nix/module.nix named machine ];
    specialArgs = { inherit pkgs; };
  }) config;
in
{
  failed = map (one: one.message) (builtins.filter (one: !one.assertion) config.assertions);
  inherit (config.services.meshnomad) settings;
  service = config.systemd.services.meshnomad or null;
  firewall = config.networking.firewall;
  docker = config.virtualisation.docker.enable;
  gpuContainers = config.hardware.nvidia-container-toolkit.enable;
  packages = map toString config.environment.systemPackages;
}
