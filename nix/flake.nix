{
  description = "meshnomad: every machine you own becomes one computer";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      each = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = each (pkgs: rec {
        meshnomad = pkgs.callPackage ./package.nix { };
        default = meshnomad;
      });

      nixosModules = rec {
        meshnomad = ./module.nix;
        default = meshnomad;
      };
    };
}
