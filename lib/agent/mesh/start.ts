import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { MeshError } from '../../structs/errors.js';
import { err, ok, type Result } from '../../util/result.js';
import type { AgentConfig } from '../config/index.js';
import { meshSettings } from '../from-config.js';
import { type EnterOptions, foundHere, joinHere, type MeshStep, refoundHere } from './enter.js';
import { membershipIn } from './membership.js';

/** How an agent comes into its mesh before it starts. */
export type Entry =
  /** Founds one; an error where there is one already. */
  | { kind: 'found'; meshName: string | undefined }
  /** Founds one again after its servers were lost, from its sealed root and the recovery code; an error for a member. */
  | { kind: 'refound'; meshName: string | undefined; sealed: string; code: string }
  /** Founds one unless this machine is in one. */
  | { kind: 'up'; meshName: string | undefined }
  /** Joins by an invite; an error for a member. */
  | { kind: 'join'; invite: string; replace: string | undefined }
  /** Joins by an invite unless this machine is in a mesh: what a configuration says. */
  | { kind: 'join-once'; invite: string };

/** Sees to it that this machine is in a mesh as it was asked; the error is for the user. */
export async function enterMesh(
  entry: Entry,
  config: AgentConfig,
  about: { version: string; onStep: (step: MeshStep) => void },
): Promise<Result<void, string>> {
  if (config.dataDir === null) return err('An agent that keeps nothing (-dev) cannot be in a mesh: leave -dev out.');
  const problems: string[] = [];
  const options: EnterOptions = {
    dataDir: resolve(config.dataDir),
    mesh: meshSettings(config, problems),
    bootstrapSaid: config.mesh.bootstrap !== null,
    name: config.nodeName ?? hostname(),
    nameChosen: config.nodeName !== null,
    ...about,
  };
  if (problems.length > 0) return err(problems.join('\n'));
  try {
    // As the agent makes it: tasks that run as another user pass through.
    mkdirSync(options.dataDir, { recursive: true, mode: 0o711 });
    const already = membershipIn(options.dataDir);
    const founds = entry.kind === 'found' || entry.kind === 'refound' || entry.kind === 'up';
    if (founds && !already && config.rolesSaid && !config.server.enabled) {
      return err(
        'Who founds a mesh is its first server, and the configuration makes none of this machine: set server { enabled = true }, or say neither server nor client.',
      );
    }
    switch (entry.kind) {
      case 'up':
        if (already) return ok(undefined);
        foundHere({ ...options, meshName: entry.meshName ?? options.name });
        return ok(undefined);
      case 'found':
      case 'refound':
        if (already) {
          return err(
            `This machine is in the mesh "${already.mesh}" already, as ${already.name}: "meshnomad up" starts it.`,
          );
        }
        if (entry.kind === 'found') foundHere({ ...options, meshName: entry.meshName ?? options.name });
        else refoundHere({ ...options, ...entry, meshName: entry.meshName ?? options.name });
        return ok(undefined);
      case 'join-once':
        if (already) return ok(undefined);
        await joinHere({ ...options, invite: entry.invite, roles: ['server', 'client'] });
        return ok(undefined);
      case 'join': {
        const replace = entry.replace === undefined ? {} : { replace: entry.replace };
        await joinHere({ ...options, invite: entry.invite, roles: ['server', 'client'], ...replace });
        return ok(undefined);
      }
    }
  } catch (error) {
    if (error instanceof MeshError) return err(error.message);
    throw error;
  }
}
