import type { MeshStep } from '../agent/mesh/enter.js';
import type { AgentOutput, StartedAgent } from '../agent/run.js';
import type { Output } from './command.js';

/** Tells of the way into a mesh: lines for people, or an object a line. */
export function meshStory(output: Output, json: boolean): NonNullable<AgentOutput['story']> {
  if (json) {
    return {
      step: (step) => output.out(JSON.stringify(step)),
      started: (about) => output.out(JSON.stringify({ Step: 'started', ...jsonOf(about) })),
    };
  }
  return {
    step: (step) => output.out(stepText(step)),
    started: (about) => output.out(startedText(about)),
  };
}

function stepText(step: MeshStep): string {
  switch (step.Step) {
    case 'founded':
      return [
        `==> Founded the mesh "${step.Mesh}" with ${step.Name} as its first server.`,
        '',
        '    Recovery code, shown this once. Write it down, away from this machine: with it the mesh survives the loss of',
        '    all its servers.',
        '',
        `        ${step.RecoveryCode}`,
        '',
      ].join('\n');
    case 'refounded':
      return [
        `==> Founded the mesh ${step.Root.slice(0, 16)}… again, with ${step.Name} as its first server.`,
        '',
        '    Bring its jobs and members back with "meshnomad operator snapshot restore"; without a snapshot they join again.',
        '',
      ].join('\n');
    case 'searching': {
      const at = step.Hints.length > 0 ? ` at ${step.Hints.join(', ')},` : '';
      return `==> Looking for the mesh${at} on the local network and in the DHT…`;
    }
    case 'waiting':
      return `    …nobody has answered for ${step.Seconds} s${step.Why === '' ? '' : `: ${step.Why}`}`;
    case 'pending':
      return [
        `==> Known as ${step.Name}; somebody has to approve. On a machine of the mesh:`,
        '',
        `        meshnomad approve ${step.Name}`,
        '',
        `    It must show the same four words: ${step.Words}`,
      ].join('\n');
    case 'joined':
      return `==> Joined the mesh "${step.Mesh}" as ${step.Name} (${step.Role}) in ${(step.Ms / 1000).toFixed(1)} s.`;
  }
}

/** The one screen: what this machine is in, what it is there, how it is linked, and what to type next. */
function startedText({ api, dataDir, roles, mesh }: StartedAgent): string {
  if (!mesh) return `==> The agent runs; its API is at ${api}.`;
  const rows: [string, string][] = [
    ['Mesh', `${mesh.name} (key ${mesh.root.slice(0, 16)}…)`],
    ['This machine', `${mesh.own.name}, ${roles}`],
    ['Links', linksText(mesh)],
    ['API', api],
    ['Data', dataDir],
  ];
  const next: [string, string][] =
    mesh.own.role === 'server'
      ? [
          ['meshnomad invite', 'lets another machine in'],
          ['meshnomad members', 'shows who is in the mesh'],
          ['meshnomad job init', 'writes a first job to run'],
        ]
      : [
          ['meshnomad net', 'shows how this machine is linked'],
          ['meshnomad agent-info', 'shows what it does'],
          ['meshnomad leave', 'takes it out again'],
        ];
  return [
    '',
    ...rows.map(([key, value]) => `${key.padStart(14)}  ${value}`),
    '',
    '    Next, in another terminal:',
    ...next.map(([command, what]) => `      ${command.padEnd(28)} ${what}`),
    '',
    '==> The agent runs until Ctrl-C; its log follows.',
    '',
  ].join('\n');
}

function linksText({ alone, links }: NonNullable<StartedAgent['mesh']>): string {
  if (links.length === 0) return alone ? 'none: it is the only server so far' : 'none yet: "meshnomad net" says why';
  return links
    .map(({ name, role, report }) => {
      const kind = report.Path.Kind === 'local' ? 'local network' : report.Path.Kind;
      return `${name} (${role}), ${kind}, ${report.RttMs < 10 ? report.RttMs.toFixed(1) : Math.round(report.RttMs)} ms`;
    })
    .join('; ');
}

function jsonOf({ api, dataDir, mesh }: StartedAgent): object {
  return {
    Api: api,
    DataDir: dataDir,
    Mesh: mesh && {
      Name: mesh.name,
      Root: mesh.root,
      Self: mesh.own,
      Links: mesh.links.map(({ name, role, report }) => ({ Name: name, Role: role, ...report })),
    },
  };
}
