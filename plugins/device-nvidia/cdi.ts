import type { HostFiles } from '../../lib/plugin/sdk/host-files.js';

/** Where the Container Device Interface keeps its specifications; what is in the second wins. */
const FOLDERS = ['/etc/cdi', '/var/run/cdi', '/run/cdi'];
const KIND = 'nvidia.com/gpu';

/** The names that CDI specifications of this machine give to NVIDIA devices. */
export async function cdiNames(host: HostFiles): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const folder of FOLDERS) {
    for (const file of await host.names(folder)) {
      if (!/\.(json|ya?ml)$/.test(file)) continue;
      const text = await host.text(`${folder}/${file}`);
      if (text !== null) for (const name of namesIn(text)) names.add(name);
    }
  }
  return names;
}

/**
 * The names of the devices in a specification of NVIDIA's, JSON or YAML; none in another one. nvidia-ctk writes YAML with
 * `kind` at the left edge, and each device as an entry of `devices` with a `name` of its own.
 */
export function namesIn(text: string): string[] {
  if (text.trimStart().startsWith('{')) return namesInJson(text);
  let isOurs = false;
  let inDevices = false;
  const names: string[] = [];
  for (const line of text.split('\n')) {
    const kind = /^kind:\s*["']?([^"'\s]+)/.exec(line);
    if (kind) isOurs = kind[1] === KIND;
    if (/^[A-Za-z]/.test(line)) inDevices = line.startsWith('devices:');
    const name = inDevices ? /^\s{0,4}(?:- )?\s{0,2}name:\s*["']?([\w:.-]+)["']?\s*$/.exec(line) : null;
    if (name) names.push(name[1] as string);
  }
  return isOurs ? names : [];
}

function namesInJson(text: string): string[] {
  try {
    const spec = JSON.parse(text) as { kind?: unknown; devices?: { name?: unknown }[] };
    if (spec.kind !== KIND || !Array.isArray(spec.devices)) return [];
    return spec.devices.flatMap(({ name }) => (typeof name === 'string' ? name : []));
  } catch {
    return [];
  }
}
