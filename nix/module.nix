# services.meshnomad: one agent of a mesh. What each option does, and how to enter a mesh, is told in README.md beside this file.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.meshnomad;
  format = pkgs.formats.json { };

  stateDirectory = "meshnomad";
  dataDir = "/var/lib/${stateDirectory}";
  joinKeyId = "join-key";

  # A path that is never copied: whatever is in the store can be read by everybody on the machine.
  outsideStore = lib.types.pathWith {
    absolute = true;
    inStore = false;
  };

  # One argument of ExecStart: neither a variable nor a specifier of systemd is to be found in it.
  argument =
    text:
    "\""
    + builtins.replaceStrings [ "\\" "\"" "%" "$" ] [ "\\\\" "\\\"" "%%" "$$" ] (toString text)
    + "\"";

  execStart = lib.concatStringsSep " " (
    [
      "${cfg.package}/bin/meshnomad"
      "agent"
      "-config=${format.generate "meshnomad.json" cfg.settings}"
    ]
    ++ map (path: argument "-config=${toString path}") cfg.extraSettingsPaths
    ++ map (id: "-config=%d/${id}") (builtins.attrNames cfg.credentials)
    ++ lib.optional (cfg.joinKeyFile != null) "-join-key-file=%d/${joinKeyId}"
  );

  credentials =
    lib.mapAttrsToList (id: path: "${id}:${toString path}") cfg.credentials
    ++ lib.optional (cfg.joinKeyFile != null) "${joinKeyId}:${toString cfg.joinKeyFile}";

  writableVolumes = map (volume: toString volume.path) (
    builtins.filter (volume: !volume.readOnly) (builtins.attrValues cfg.hostVolumes)
  );

  # Blocks of plugins by name; a list of blocks means the same as one block.
  asBlock = value: if builtins.isList value then builtins.foldl' (a: b: a // b) { } value else value;
  plugins = asBlock (cfg.settings.plugin or { });
  isOn =
    name:
    let
      plugin = asBlock plugins.${name};
    in
    (asBlock (plugin.config or { })).enabled or true != false;
  rootPlugins = builtins.filter (
    name: (name == "exec" || builtins.match "csi.*" name != null) && isOn name
  ) (builtins.attrNames plugins);
  clientBlock = asBlock (cfg.settings.client or { });
  bridge = clientBlock ? bridge_network_name || clientBlock ? bridge_network_subnet;

  meshBlock = asBlock (cfg.settings.mesh or { });
  secretsInSettings =
    lib.optional (cfg.settings ? join_key) "join_key"
    ++ lib.optional (meshBlock ? join_key) "mesh.join_key"
    ++ lib.optional (meshBlock ? secret) "mesh.secret";

  ports = asBlock (cfg.settings.ports or { });
in
{
  options.services.meshnomad = {
    enable = lib.mkEnableOption "meshnomad, an agent of a private mesh that runs Nomad's jobs";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package that holds `bin/meshnomad`.";
    };

    settings = lib.mkOption {
      type = format.type;
      default = { };
      example = lib.literalExpression ''{ client.meta.room = "attic"; mesh.bootstrap = [ ]; }'';
      description = ''
        The agent's configuration, with the keys of its files. It is written to the Nix store, where everybody on the
        machine can read it: secrets belong into `joinKeyFile` and `credentials`.
      '';
    };

    extraSettingsPaths = lib.mkOption {
      type = lib.types.listOf outsideStore;
      default = [ ];
      example = [ "/etc/meshnomad/local.hcl" ];
      description = "Further files of configuration, or folders of them, that are read when the agent starts; they win over `settings`.";
    };

    extraPackages = lib.mkOption {
      type = lib.types.listOf lib.types.package;
      default = [ ];
      description = "Packages on the agent's PATH, and so on that of its tasks.";
    };

    joinKeyFile = lib.mkOption {
      type = lib.types.nullOr outsideStore;
      default = null;
      example = "/run/secrets/meshnomad-join-key";
      description = "A file with the invite to join with. It is read once: who is a member needs it no more.";
    };

    credentials = lib.mkOption {
      type = lib.types.attrsOf outsideStore;
      default = { };
      example = {
        "docker-auth.json" = "/run/secrets/docker-auth.json";
      };
      description = "Files of configuration with secrets in them, read by systemd as root and handed to the agent alone.";
    };

    dropPrivileges = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Run the agent, and its raw_exec tasks, as a user of its own. The exec driver, CSI and bridge networks need `false`.";
    };

    enableDocker = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Run the Docker daemon, and let the agent use it.";
    };

    hostVolumes = lib.mkOption {
      type = lib.types.attrsOf (
        lib.types.submodule {
          options = {
            path = lib.mkOption {
              type = outsideStore;
              description = "The folder on this machine.";
            };
            readOnly = lib.mkOption {
              type = lib.types.bool;
              default = false;
              description = "Whether tasks may only read it.";
            };
          };
        }
      );
      default = { };
      description = "Folders of this machine that jobs may mount by name.";
    };

    gpu.enable = lib.mkEnableOption "the graphics devices for the agent and its tasks";

    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Open the TCP ports of the API and of links by plain address, and the UDP port of the mesh.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = secretsInSettings == [ ];
        message = "services.meshnomad.settings: ${lib.concatStringsSep ", " secretsInSettings} would be in the Nix store, where everybody can read it. Use services.meshnomad.joinKeyFile or credentials.";
      }
      {
        assertion = cfg.dropPrivileges -> cfg.settings.data_dir == dataDir;
        message = "services.meshnomad.settings.data_dir must be ${dataDir} while dropPrivileges is true: another folder does not belong to the agent's user.";
      }
      {
        assertion = cfg.dropPrivileges -> rootPlugins == [ ];
        message = "services.meshnomad: ${lib.concatStringsSep ", " rootPlugins} needs root: set services.meshnomad.dropPrivileges = false.";
      }
      {
        assertion = cfg.dropPrivileges -> !bridge;
        message = "services.meshnomad: bridge networks need root: set services.meshnomad.dropPrivileges = false.";
      }
      {
        assertion = !(cfg.credentials ? ${joinKeyId});
        message = "services.meshnomad.credentials.${joinKeyId} is what joinKeyFile is handed over as: set joinKeyFile.";
      }
    ];

    services.meshnomad.settings = lib.mkMerge [
      { data_dir = lib.mkDefault dataDir; }
      (lib.mkIf (cfg.hostVolumes != { }) {
        client.host_volume = builtins.mapAttrs (_: volume: {
          path = toString volume.path;
          read_only = volume.readOnly;
        }) cfg.hostVolumes;
      })
      # Only root makes networks for groups.
      (lib.mkIf (!cfg.dropPrivileges) { client.cni_path = lib.mkDefault "${pkgs.cni-plugins}/bin"; })
      # A port that is chosen anew on each machine could not be opened.
      (lib.mkIf cfg.openFirewall { mesh.port = lib.mkDefault 49737; })
    ];

    environment.systemPackages = [ cfg.package ];

    systemd.services.meshnomad = {
      description = "meshnomad agent";
      documentation = [ "file:${cfg.package}/lib/node_modules/meshnomad/README.md" ];
      # Not network-online.target: a machine that starts without a network runs its tasks, and links when there is one.
      after = [ "network.target" ] ++ lib.optional cfg.enableDocker "docker.service";
      wants = lib.optional cfg.enableDocker "docker.service";
      wantedBy = [ "multi-user.target" ];
      path =
        cfg.extraPackages
        ++ lib.optionals (!cfg.dropPrivileges) [
          pkgs.iproute2
          pkgs.iptables
          pkgs.runc
          pkgs.util-linux
        ];
      startLimitIntervalSec = 0;
      serviceConfig =
        {
          Type = "exec";
          ExecStart = execStart;
          ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
          # Tasks outlive the agent: the next one takes them up again.
          KillMode = "process";
          KillSignal = "SIGINT";
          Delegate = true;
          LimitNOFILE = 65536;
          TasksMax = "infinity";
          Restart = "on-failure";
          RestartSec = 2;
        }
        // lib.optionalAttrs (credentials != [ ]) { LoadCredential = credentials; }
        # Who is a member needs the invite no more: without this the service would not start when its file is gone.
        // lib.optionalAttrs (cfg.joinKeyFile != null) { SetCredential = "${joinKeyId}:missing"; }
        // lib.optionalAttrs (cfg.settings.data_dir == dataDir) {
          StateDirectory = stateDirectory;
          # Tasks that run as another user pass through.
          StateDirectoryMode = "0711";
        }
        // lib.optionalAttrs cfg.dropPrivileges {
          DynamicUser = true;
          PrivateDevices = !cfg.gpu.enable;
          ProtectClock = true;
          ProtectKernelModules = true;
          SupplementaryGroups =
            lib.optional cfg.enableDocker "docker"
            ++ lib.optionals cfg.gpu.enable [
              "video"
              "render"
            ];
          # DynamicUser makes everything else read-only.
          ReadWritePaths = writableVolumes;
        };
    };

    virtualisation.docker.enable = lib.mkIf cfg.enableDocker (lib.mkDefault true);
    hardware.nvidia-container-toolkit.enable = lib.mkIf (cfg.gpu.enable && cfg.enableDocker) (
      lib.mkDefault true
    );

    networking.firewall = lib.mkIf cfg.openFirewall {
      allowedTCPPorts = [
        (ports.http or 4646)
        (ports.rpc or 4647)
      ];
      allowedUDPPorts = [ cfg.settings.mesh.port ];
    };
  };
}
