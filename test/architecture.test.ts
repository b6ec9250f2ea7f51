import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The rooms of lib/, by layer (lib/README.md). A room may import its own layer's words only where `ALSO` says so. */
const LAYER: Record<string, number> = {
  util: 0,
  structs: 0,
  hcl: 1,
  jobspec: 1,
  template: 1,
  archive: 1,
  raft: 1,
  gossip: 1,
  state: 1,
  scheduler: 1,
  scaling: 1,
  transport: 2,
  storage: 2,
  plugin: 2,
  server: 3,
  client: 3,
  autoscaler: 3,
  http: 4,
  agent: 4,
  cli: 4,
};

/** Sideways imports that are part of the plan. */
const ALSO: Record<string, string[]> = {
  structs: ['util'],
  jobspec: ['hcl'],
  // The state is what the scheduler's port is implemented over; the other way round would be the edge to forbid.
  state: ['scheduler'],
  agent: ['http'],
  cli: ['agent'],
};

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts') ? [path] : [];
  });
}

interface Edge {
  file: string;
  to: string;
  typeOnly: boolean;
}

const FILES = [...sources('lib'), ...sources('plugins'), ...sources('bin')];
const text = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

const EDGES: Edge[] = FILES.flatMap((file) => {
  const found = text(file).matchAll(
    /^\s*(import|export)\s+(type\s)?[^;'"]*?from\s+'([^']+)'|\bimport\('([^']+)'\)|^import\s+'([^']+)'/gm,
  );
  return [...found].map((match) => {
    const spec = match[3] ?? match[4] ?? match[5] ?? '';
    const to = spec.startsWith('.') ? relative(ROOT, join(ROOT, dirname(file), spec)) : spec;
    return { file, to, typeOnly: match[2] !== undefined };
  });
});

const room = (path: string): string =>
  path.startsWith('lib/') ? (path.split('/')[1] ?? '') : (path.split('/')[0] ?? '');

t.test('every room of lib/ has a layer', async (t) => {
  for (const file of FILES.filter((file) => file.startsWith('lib/') && file.split('/').length > 2)) {
    t.ok(room(file) in LAYER, `${file} lies in a room with a layer`);
  }
});

t.test('imports point downwards', async (t) => {
  t.ok(EDGES.length > 0);
  for (const { file, to, typeOnly } of EDGES) {
    if (!file.startsWith('lib/') || !to.startsWith('lib/')) continue;
    const from = room(file);
    const target = room(to);
    if (from === target || file === 'lib/index.ts') continue;
    const down = (LAYER[target] ?? 9) < (LAYER[from] ?? -1);
    const planned = ALSO[from]?.includes(target) ?? false;
    // A shell may name the types of a core's port; a pure layer never looks up, not even for a type.
    if (!down && !planned)
      t.fail(`${file} imports ${to}${typeOnly ? ' (type)' : ''}: ${from} may not look at ${target}`);
  }
});

t.test('no role imports another: they meet over RPC', async (t) => {
  const roles = ['server', 'client', 'autoscaler'];
  for (const { file, to } of EDGES) {
    const from = room(file);
    if (roles.includes(from) && roles.includes(room(to)) && from !== room(to)) t.fail(`${file} imports ${to}`);
  }
});

t.test('plugins know the sdk and the structs only, and bin the command line only', async (t) => {
  for (const { file, to } of EDGES) {
    if (!to.startsWith('lib/')) continue;
    if (file.startsWith('plugins/') && !/^lib\/(plugin\/sdk|structs|util)\//.test(to)) t.fail(`${file} imports ${to}`);
    if (file.startsWith('bin/') && !to.startsWith('lib/cli/')) t.fail(`${file} imports ${to}`);
  }
});

/** What runs an agent, brings it into its mesh, finds the way to the API over the mesh, or reads an agent’s files. */
const STARTS_AGENTS =
  /cli\/(commands\/(agent|autoscaler|config-validate|operator-login|operator-session|operator-snapshot-inspect|recover)|agent-flags|api|mesh-story|session|start-in-mesh)\.ts$/;

t.test('the command line speaks only HTTP, except where it runs an agent or its links', async (t) => {
  for (const { file, to } of EDGES) {
    if (room(file) !== 'cli' || !to.startsWith('lib/')) continue;
    const allowed = ['cli', 'util', 'structs', 'hcl', 'jobspec', 'template'];
    if (STARTS_AGENTS.test(file)) allowed.push('agent');
    // A bootstrap node is no agent: it belongs to no mesh.
    if (file === 'lib/cli/commands/dht.ts') allowed.push('transport');
    // Serves a plugin, which is no agent either.
    if (file === 'lib/cli/csi-plugin.ts') allowed.push('plugin');
    if (!allowed.includes(room(to))) t.fail(`${file} imports ${to}`);
  }
});

t.test('the pure layers know no clock, no chance, no timer and nothing of Node', async (t) => {
  const banned: [RegExp, string][] = [
    [/from 'node:/, 'node:*'],
    [/\bnew Date\(\s*\)|\bDate\.now\b/, 'the clock'],
    [/\bMath\.random\b|\bcrypto\./, 'randomness'],
    [/\b(setTimeout|setInterval|setImmediate|queueMicrotask)\(/, 'timers'],
    [/\bprocess\./, 'process'],
    [/\bBuffer\b/, 'Buffer'],
    [/\bconsole\./, 'console'],
  ];
  for (const file of FILES.filter((file) => file.startsWith('lib/') && (LAYER[room(file)] ?? 9) <= 1)) {
    const code = text(file).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|(?<=[;,{}\s])\/\/ .*$/gm, '');
    for (const [pattern, what] of banned) t.notOk(pattern.test(code), `${file} is free of ${what}`);
    for (const edge of EDGES.filter((edge) => edge.file === file)) {
      t.ok(edge.to.startsWith('lib/'), `${file} imports no package (${edge.to})`);
    }
  }
});
