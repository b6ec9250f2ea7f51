import type { CsiHandlers } from './csi-server.js';

/** What a CSI plugin answers for: a controller makes and removes volumes, a node mounts them. */
export interface CsiRoles {
  controller: boolean;
  node: boolean;
}

/** A flag of a plugin's command line. */
export interface CsiPluginFlag {
  help: string;
  /** Shown in the help as the value's name; absent = a switch, whose value is "true". */
  value?: string;
}

export interface CsiPluginOptions {
  roles: CsiRoles;
  /** The name this node is to have among those that mount; at most 192 bytes. */
  nodeId: string;
  /** What was given on the command line, by flag. */
  flags: Readonly<Record<string, string>>;
  version: string;
  now: () => number;
}

/** A CSI plugin package's default export: `meshnomad plugin NAME` serves what it makes. */
export interface CsiPlugin {
  readonly name: string;
  /** A sentence for the help. */
  readonly about: string;
  readonly flags: Readonly<Record<string, CsiPluginFlag>>;
  /** Throws Error with a message for the person who started it. */
  create(options: CsiPluginOptions): Promise<CsiHandlers>;
}

/** The identity service, which is alike in all plugins but for the name and what they can. */
export function identityHandlers(
  name: string,
  { version, roles }: Pick<CsiPluginOptions, 'version' | 'roles'>,
  can: { topology: boolean; expansion: 'ONLINE' | 'OFFLINE' | null },
): CsiHandlers {
  return {
    'Identity.GetPluginInfo': async () => ({ name, vendorVersion: version, manifest: {} }),
    'Identity.GetPluginCapabilities': async () => ({
      capabilities: [
        ...(roles.controller ? [{ service: { type: 'CONTROLLER_SERVICE' } }] : []),
        ...(can.topology ? [{ service: { type: 'VOLUME_ACCESSIBILITY_CONSTRAINTS' } }] : []),
        ...(can.expansion ? [{ volumeExpansion: { type: can.expansion } }] : []),
      ],
    }),
    'Identity.Probe': async () => ({ ready: { value: true } }),
  };
}
