import {
  attributesOf,
  type Block,
  type Body,
  type Diagnostic,
  diagnosticLine,
  errorAt,
  evaluate,
  hasErrors,
  parseHcl,
  type SourceRange,
  toJs,
} from '../hcl/index.js';
import type { CsiVolumeRequest } from '../structs/csi.js';
import type { HostVolumeSpec } from '../structs/host-volume.js';
import { parseByteSize } from '../util/byte-size.js';
import { err, ok, type Result } from '../util/result.js';
import { decodeBlock } from './decode.js';
import { FUNCTIONS } from './functions.js';
import { parseJson } from './json-source.js';
import type { Places } from './places.js';
import { readStruct } from './read-json.js';
import type { Raw, Struct } from './schema/field.js';
import { API_VOLUME, csiVolume, hostVolume } from './schema/volume.js';

/** A file of `volume create` or `volume register`. */
export type VolumeFile =
  | { readonly type: 'csi'; readonly volume: CsiVolumeRequest }
  | { readonly type: 'host'; readonly volume: HostVolumeSpec };

const SCHEMA = { csi: csiVolume, host: hostVolume };
const SIZES = {
  csi: ['RequestedCapacityMin', 'RequestedCapacityMax'],
  host: ['CapacityBytes', 'RequestedCapacityMinBytes', 'RequestedCapacityMaxBytes'],
};

/** Reads a volume file, in HCL or in JSON with its keys or the API's; every error names its place. Never throws. */
export function parseVolume(source: string, filename: string): Result<VolumeFile, string> {
  const parsed = /^\s*\{/.test(source) ? parseVolumeJson(source, filename) : parseVolumeHcl(source, filename);
  return parsed.ok ? parsed : err(parsed.error.map(diagnosticLine).join('\n'));
}

function parseVolumeHcl(source: string, filename: string): Result<VolumeFile, Diagnostic[]> {
  // Nomad reads them so: what plugins call their places and parameters has dots and slashes, and is quoted in blocks.
  const { body, diagnostics: syntax } = parseHcl(source, filename, { firstVersion: true });
  if (hasErrors(syntax)) return err([...syntax]);
  const type = typeOf(body);
  if (!type.ok) return err([type.error]);
  const diagnostics: Diagnostic[] = [];
  const places: Places = new Map();
  const scope = { context: { functions: FUNCTIONS }, names: new Set<string>(), source };
  const raw = decodeBlock(SCHEMA[type.value], asBlock(body), scope, { diagnostics, places });
  const keys = places.get(raw)?.keys;
  const volume = settled(raw, type.value, (key) => keys?.get(key) ?? startOf(body), diagnostics);
  return hasErrors(diagnostics) ? err(diagnostics) : ok(volume);
}

/** What the file says it is about: everything else depends on it. */
function typeOf(body: Body): Result<'csi' | 'host', Diagnostic> {
  const attribute = attributesOf(body).find(({ name }) => name === 'type');
  if (!attribute) {
    const detail = 'Say what it is: type = "csi" or type = "host".';
    return err(errorAt(startOf(body), 'Missing type of volume', detail));
  }
  const { value, diagnostics } = evaluate(attribute.expression, { functions: FUNCTIONS });
  const type = diagnostics.length === 0 ? toJs(value) : null;
  if (type === 'csi' || type === 'host') return ok(type);
  return err(errorAt(attribute.range, 'Unknown type of volume', 'A volume is of type "csi" or "host".'));
}

/** The first place of the file, for what concerns all of it. */
function startOf({ endRange: { filename } }: Body): SourceRange {
  const start = { line: 1, column: 1, byte: 0, index: 0 };
  return { filename, start, end: start };
}

function asBlock(body: Body): Block {
  const at = startOf(body);
  const ranges = {
    typeRange: at,
    headerRange: at,
    openBraceRange: at,
    closeBraceRange: body.endRange,
    range: body.range,
  };
  return { kind: 'block', type: 'volume', labels: [], body, ...ranges };
}

function parseVolumeJson(source: string, filename: string): Result<VolumeFile, Diagnostic[]> {
  const parsed = parseJson(source, filename);
  if (!parsed.ok) return err([parsed.error]);
  const { value, start } = parsed.value;
  const given = value as Record<string, unknown>;
  const type = given['type'] ?? given['Type'];
  if (type !== 'csi' && type !== 'host') {
    return err([errorAt(start, 'Unknown type of volume', 'Say what it is: "type": "csi" or "type": "host".')]);
  }
  const problems: string[] = [];
  const raw = readStruct(API_VOLUME[type], withApiKeys(SCHEMA[type], given), '', problems) ?? {};
  const diagnostics = problems.map((problem) => errorAt(start, 'Invalid volume', problem));
  const volume = settled(raw, type, () => start, diagnostics);
  return diagnostics.length > 0 ? err(diagnostics) : ok(volume);
}

/** The keys of a file in the place of which the API has its own; numbers where the file may have text. */
function withApiKeys(struct: Struct, given: unknown): unknown {
  if (Array.isArray(given)) return given.map((item) => withApiKeys(struct, item));
  if (typeof given !== 'object' || given === null) return given;
  const entries = Object.entries(given).map(([key, value]): [string, unknown] => {
    const field = struct.fields.find((one) => 'hcl' in one && (one.hcl === key || one.json === key));
    if (!field) return [key, value];
    if (field.form === 'attribute' && field.type === 'string' && typeof value === 'number') {
      return [field.json, String(value)];
    }
    if (field.form !== 'block') return [field.json, value];
    const inner = withApiKeys(field.struct, value);
    return [field.json, field.arity === 'list' && !Array.isArray(inner) ? [inner] : inner];
  });
  const raw: Raw = Object.fromEntries(entries);
  if (struct.name === 'topology_request') struct.settle?.(raw);
  return raw;
}

/** The volume without what was not given, its sizes in bytes. */
function settled(raw: Raw, type: 'csi' | 'host', at: (key: string) => SourceRange, out: Diagnostic[]): VolumeFile {
  const volume: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    if (value === null || key.startsWith('~')) continue;
    if (!SIZES[type].includes(key)) {
      volume[key] = value;
      continue;
    }
    const bytes = parseBytes(String(value));
    if (bytes.ok) volume[key] = bytes.value;
    else out.push(errorAt(at(key), 'Invalid size', bytes.error));
  }
  return { type, volume } as VolumeFile;
}

/** Bytes, or what is wrong with a size. */
export function parseBytes(text: string): Result<number, string> {
  const bytes = parseByteSize(text);
  if (bytes === null) {
    return err(`${JSON.stringify(text)} is no size: write bytes, or a number with a unit, such as "10GiB"`);
  }
  return Number.isSafeInteger(bytes) ? ok(bytes) : err(`${JSON.stringify(text)} is too large`);
}

const BACKUP_BLOCK = `# backup {
#   cron        = "30 3 * * *"
#   replicas    = 2
#   keep_daily  = 7
#   keep_weekly = 4
# }
`;

/** What `volume init` writes. */
export const INIT_VOLUMES = {
  csi: `id        = "ebs_prod_db1"
namespace = "default"
name      = "database"
type      = "csi"
plugin_id = "plugin_id"

# For "volume register": the volume as its provider calls it. Leave it out for "volume create".
# external_id = "vol-23452345"

# For "volume create": how large it must and may be.
capacity_min = "10GiB"
capacity_max = "20GiB"

# At least one way in which it may be used; the volume block of a job names one of them.
capability {
  access_mode     = "single-node-writer"
  attachment_mode = "file-system"
}

# Optional: how it is mounted, unless a job says otherwise.
mount_options {
  fs_type     = "ext4"
  mount_flags = ["noatime"]
}

# Optional: where it must, or had better, be reachable from.
# topology_request {
#   required {
#     topology {
#       segments {
#         rack = "R1"
#       }
#     }
#   }
# }

# Optional: passed to the plugin with every call. Values are shown to nobody.
# secrets {
#   example_secret = "xyzzy"
# }

# Optional: passed to the plugin when it creates the volume.
parameters {
  skuname = "Premium_LRS"
}

# Optional, for "volume register": what the plugin wants to be told of it.
# context {
#   endpoint = "http://192.168.1.101:9425"
# }

# Optional, for plugins that make snapshots: back it up by itself, with copies on other nodes; see "volume backup".
${BACKUP_BLOCK}`,
  host: `namespace = "default"
name      = "database"
type      = "host"

# Who makes it: a plugin of the node. "mkdir" is built in, and makes a directory.
plugin_id = "mkdir"

# Where: on a node of this pool for which the constraints hold, or on the one that node_id names.
node_pool = "default"
# node_id = "f1e22e7a-c1f6-4d2a-8e2b-7c4ad8d1e6f3"
# constraint {
#   attribute = "\${attr.kernel.name}"
#   value     = "linux"
# }

# For plugins that know sizes; "mkdir" does not.
# capacity_min = "10GiB"
# capacity_max = "20GiB"

capability {
  access_mode     = "single-node-writer"
  attachment_mode = "file-system"
}

# Optional: passed to the plugin.
# parameters {
#   mode = "0700"
# }

# Optional: back it up by itself, with copies on other nodes; see "volume backup".
${BACKUP_BLOCK}`,
} as const;

const INIT_CAPABILITY = [{ access_mode: 'single-node-writer', attachment_mode: 'file-system' }];

/** What `volume init -json` writes: the same without remarks, which JSON has no place for. */
export const INIT_VOLUMES_JSON = {
  csi: asFile({
    id: 'ebs_prod_db1',
    namespace: 'default',
    name: 'database',
    type: 'csi',
    plugin_id: 'plugin_id',
    capacity_min: '10GiB',
    capacity_max: '20GiB',
    capability: INIT_CAPABILITY,
    mount_options: { fs_type: 'ext4', mount_flags: ['noatime'] },
    parameters: { skuname: 'Premium_LRS' },
  }),
  host: asFile({
    namespace: 'default',
    name: 'database',
    type: 'host',
    plugin_id: 'mkdir',
    node_pool: 'default',
    capability: INIT_CAPABILITY,
  }),
};

function asFile(volume: object): string {
  return `${JSON.stringify(volume, null, 2)}\n`;
}
