// The NixOS module, evaluated with a small stand-in for nixpkgs (test/nix): what a machine gets that asks for an agent.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ROOT } from '../support/mesh-agent.js';
import { missingForNix, nixEval, nixosMachine, unitText } from '../support/nixos.js';
import { unitProblems } from '../support/systemd.js';

const NIX = join(ROOT, 'nix');

async function refused(options: string): Promise<string> {
  return nixosMachine(options).then(
    () => 'accepted',
    (error: Error) => error.message,
  );
}

t.test('the NixOS module', { skip: missingForNix() ?? false }, async (t) => {
  t.test('does nothing unless it is enabled', async (t) => {
    const { service, packages } = await nixosMachine('enable = lib.mkForce false;');
    t.same([service, packages], [null, []]);
  });

  t.test('runs the agent with the settings in a file, as a user of its own', async (t) => {
    const { failed, service, settings, packages, firewall } = await nixosMachine(
      'settings = { client.meta.room = "attic"; }; extraSettingsPaths = [ "/etc/mesh nomad/100%" ];',
    );
    const config = service?.serviceConfig ?? {};
    t.same(failed, []);
    t.same(settings, { client: { meta: { room: 'attic' } }, data_dir: '/var/lib/meshnomad' });
    t.equal(
      config['ExecStart'],
      '/run/meshnomad/bin/meshnomad agent -config=/generated/meshnomad.json "-config=/etc/mesh nomad/100%%"',
    );
    t.match(config, { DynamicUser: true, StateDirectory: 'meshnomad', PrivateDevices: true, KillMode: 'process' });
    t.same(packages, ['/run/meshnomad'], 'the command line is on the path');
    t.same(firewall, { allowedTCPPorts: [], allowedUDPPorts: [] });
  });

  t.test('hands secrets over as credentials, never through the store', async (t) => {
    const found = await nixosMachine(
      'joinKeyFile = "/run/keys/join"; credentials."docker.json" = "/run/keys/docker.json"; settings.region = "home";',
    );
    const config = found.service?.serviceConfig ?? {};
    t.same(config['LoadCredential'], ['docker.json:/run/keys/docker.json', 'join-key:/run/keys/join']);
    t.equal(config['SetCredential'], 'join-key:missing', 'the file is needed once only');
    t.match(config['ExecStart'], / -config=%d\/docker\.json -join-key-file=%d\/join-key$/);
    t.notMatch(JSON.stringify(found.settings), /run\/keys/);
    t.notMatch(Object.keys(config), /Environment/, 'tasks would inherit it');
  });

  t.test('refuses a secret that is in the store, or would be copied to it', async (t) => {
    t.match(await refused('joinKeyFile = ./secret;'), /joinKeyFile' is not of type/);
    t.match(await refused('joinKeyFile = "/nix/store/00000000000000000000000000000000-secret";'), /joinKeyFile/);
    t.match(await refused('joinKeyFile = "relative";'), /joinKeyFile/);
    t.match(await refused('credentials.a = ./secret;'), /credentials\.a/);
    for (const key of ['join_key', 'mesh.join_key', 'mesh.secret']) {
      const { failed } = await nixosMachine(`settings.${key} = "mn1-secret";`);
      t.match(failed, [new RegExp(`${key.replace('.', '\\.')} would be in the Nix store`)]);
      t.notMatch(failed.join(), /mn1/);
    }
  });

  t.test('says what needs root', async (t) => {
    const wishes: [string, RegExp][] = [
      ['settings.plugin.exec = { };', /exec needs root/],
      ['settings.plugin.csi-nfs.config.enabled = true;', /csi-nfs needs root/],
      ['settings.client.bridge_network_name = "br0";', /bridge networks need root/],
      ['settings.data_dir = "/data";', /data_dir must be \/var\/lib\/meshnomad/],
    ];
    for (const [wish, message] of wishes) {
      t.match((await nixosMachine(wish)).failed, [message], wish);
      const asRoot = await nixosMachine(`${wish} dropPrivileges = false;`);
      t.same(asRoot.failed, [], wish);
      t.notOk(asRoot.service?.serviceConfig['DynamicUser']);
    }
    t.same((await nixosMachine('settings.plugin.exec.config.enabled = false;')).failed, []);
    const asRoot = await nixosMachine('dropPrivileges = false; extraPackages = [ "/git" ];');
    t.match(asRoot.settings, { client: { cni_path: '/cni/bin' } }, 'and gives root what networks of groups need');
    t.same(asRoot.service?.path, ['/git', '/iproute2', '/iptables', '/runc', '/util-linux']);
  });

  t.test('makes folders, devices, Docker and ports reachable when asked', async (t) => {
    const found = await nixosMachine(
      `hostVolumes = { data.path = "/srv/data"; films = { path = "/srv/films"; readOnly = true; }; };
       gpu.enable = true; enableDocker = true; openFirewall = true; settings.ports.http = 80;`,
    );
    const config = found.service?.serviceConfig ?? {};
    t.match(found.settings, {
      client: {
        host_volume: {
          data: { path: '/srv/data', read_only: false },
          films: { path: '/srv/films', read_only: true },
        },
      },
    });
    t.same(config['ReadWritePaths'], ['/srv/data'], 'DynamicUser makes all else read-only');
    t.match(config, { PrivateDevices: false, SupplementaryGroups: ['docker', 'video', 'render'] });
    t.same([found.docker, found.gpuContainers], [true, true]);
    t.same(found.firewall, { allowedTCPPorts: [80, 4647], allowedUDPPorts: [49737] });
    t.match(found.settings, { mesh: { port: 49737 } }, 'the port that is open is the one in use');
  });

  t.test('gives units that systemd understands', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'meshnomad-nix-'));
    t.teardown(() => rmSync(dir, { recursive: true, force: true }));
    mkdirSync(join(dir, 'bin'));
    writeFileSync(join(dir, 'bin/meshnomad'), '#!/bin/sh\n');
    chmodSync(join(dir, 'bin/meshnomad'), 0o755);
    for (const options of [
      '',
      'joinKeyFile = "/run/keys/join"; hostVolumes.a.path = "/srv/a"; gpu.enable = true; enableDocker = true;',
      'dropPrivileges = false; extraSettingsPaths = [ "/etc/a b$c" ];',
    ]) {
      const { service } = await nixosMachine(options, '--argstr', 'package', dir);
      t.same(await unitProblems('meshnomad.service', unitText(service?.serviceConfig ?? {})), [], options);
    }
    t.notSame(await unitProblems('meshnomad.service', '[Service]\nExecStart=relative\n'), [], 'it does look');
  });

  t.test('comes with a flake and a package', async (t) => {
    const parts = await nixEval(
      '--expr',
      `let
        lib = import ${ROOT}test/nix/lib.nix;
        pkgs = { callPackage = path: _: baseNameOf path; };
        flake = (import ${NIX}/flake.nix).outputs {
          self = flake;
          nixpkgs = { inherit lib; legacyPackages = { x86_64-linux = pkgs; aarch64-linux = pkgs; }; };
        };
        package = import ${NIX}/package.nix {
          inherit lib;
          stdenv.hostPlatform = { isLinux = true; node = { platform = "linux"; arch = "x64"; }; };
          stdenv.cc.cc.lib = "libstdc++";
          buildNpmPackage = package: package;
          importNpmLock = { npmConfigHook = "hook"; __functor = _: { npmRoot }: toString npmRoot; };
          nodejs = "node"; autoPatchelfHook = "autoPatchelf";
        };
      in {
        inherit (flake) packages;
        module = toString flake.nixosModules.default;
        package = { inherit (package) pname version nativeBuildInputs; };
      }`,
    );
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      version: string;
    };
    t.match(JSON.parse(parts), {
      packages: { 'x86_64-linux': { default: 'package.nix' }, 'aarch64-linux': { meshnomad: 'package.nix' } },
      module: join(NIX, 'module.nix'),
      package: { pname: 'meshnomad', version, nativeBuildInputs: ['autoPatchelf'] },
    });
  });
});
