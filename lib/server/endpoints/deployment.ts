import { watchKeys } from '../../state/watch.js';
import type { Deployment } from '../../structs/deployment.js';
import { MeshError } from '../../structs/errors.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { toNanos } from '../../util/clock.js';
import { answerQuery } from '../blocking.js';
import { DEPLOYMENT_REASONS, healthyCanaries } from '../deployment-rules.js';
import { deploymentEval, failCommand } from '../deployment-watcher.js';
import { inOrderOfCreation, page, pageOptions } from '../page.js';
import { propose } from '../propose.js';
import { allocStubsOf } from '../stubs.js';
import { type EndpointContext, listed, requireFound, requireText, rfc3339 } from './context.js';

/** Deployments: what is asked about them, and what a person decides of them. */
export function deploymentEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, store, now, turns } = context;

  /** The deployment, if it has not ended. */
  const requireActive = (deploymentId: string, what: string): Deployment => {
    const deployment = requireFound(
      store.snapshot().deploymentById(requireText(deploymentId, 'deployment ID')),
      'deployment',
    );
    if (deployment.Status === 'running' || deployment.Status === 'paused') return deployment;
    throw new MeshError('E_BAD_REQUEST', `can't ${what} terminal deployment: ${deployment.ID} is ${deployment.Status}`);
  };
  /** The end of a deployment some of whose allocations a person has called unhealthy. */
  const judgedUnhealthy = (deployment: Deployment, ids: readonly string[]) => {
    const state = store.snapshot();
    const groups = new Set(ids.map((id) => state.allocById(id)?.TaskGroup));
    const revert = Object.entries(deployment.TaskGroups).some(
      ([name, { AutoRevert }]) => AutoRevert && groups.has(name),
    );
    return failCommand(context, state, deployment, DEPLOYMENT_REASONS.unhealthy, revert);
  };
  const evalFor = (deployment: Deployment) =>
    deploymentEval(deployment, store.snapshot().jobById(deployment.Namespace, deployment.JobID), context);

  return {
    async 'Deployment.List'(args, call) {
      const options = pageOptions(args);
      return answerQuery(context, args, call, [watchKeys.deployments()], async (state) => {
        const { options: narrowed, wanted } = listed(args);
        const order = await inOrderOfCreation(turns, state.deployments(narrowed), { reverse: args.Reverse, wanted });
        const { items, nextToken } = await page(turns, order.items, {
          ...options,
          ...order,
          show: (deployment) => deployment,
        });
        return {
          index: state.tableIndex('deployments'),
          reply: { Deployments: items, ...(nextToken === '' ? {} : { NextToken: nextToken }) },
        };
      });
    },

    async 'Deployment.GetDeployment'(args, call) {
      const id = requireText(args.DeploymentID, 'deployment ID');
      return answerQuery(context, args, call, [watchKeys.deployment(id)], (state) => {
        const deployment = state.deploymentById(id) ?? null;
        return {
          index: deployment?.ModifyIndex ?? state.tableIndex('deployments'),
          reply: { Deployment: deployment },
        };
      });
    },

    async 'Deployment.Allocations'(args, call) {
      const id = requireText(args.DeploymentID, 'deployment ID');
      return answerQuery(context, args, call, [watchKeys.allocsByDeployment(id)], async (state) => {
        const deployment = state.deploymentById(id);
        const all = deployment ? state.eachAllocOfJob(deployment.Namespace, deployment.JobID) : [];
        const Allocations = await allocStubsOf(turns, all, (alloc) => alloc.DeploymentID === id);
        return { index: state.tableIndex('allocs'), reply: { Allocations } };
      });
    },

    async 'Deployment.Fail'(args) {
      const deployment = requireActive(args.DeploymentID, 'fail');
      const revert = Object.values(deployment.TaskGroups).some(({ AutoRevert }) => AutoRevert);
      const command = failCommand(context, store.snapshot(), deployment, DEPLOYMENT_REASONS.byUser, revert);
      const { index } = await propose(consensus, command);
      return {
        EvalID: command.eval.ID,
        DeploymentModifyIndex: index,
        RevertedJobVersion: command.job?.Version ?? null,
        Index: index,
      };
    },

    async 'Deployment.Pause'(args) {
      const deployment = requireActive(args.DeploymentID, args.Pause ? 'pause' : 'resume');
      const evaluation = args.Pause ? null : evalFor(deployment);
      const { index } = await propose(consensus, {
        type: 'deployment-status',
        update: {
          DeploymentID: deployment.ID,
          Status: args.Pause ? 'paused' : 'running',
          StatusDescription: args.Pause ? DEPLOYMENT_REASONS.paused : DEPLOYMENT_REASONS.resumed,
        },
        job: null,
        eval: evaluation,
        time: toNanos(now()),
      });
      return { EvalID: evaluation?.ID ?? '', DeploymentModifyIndex: index, Index: index };
    },

    async 'Deployment.Promote'(args) {
      const deployment = requireActive(args.DeploymentID, 'promote');
      const groups = args.All || !args.Groups?.length ? null : args.Groups;
      checkCanaries(deployment, groups, store.snapshot().allocsInQuestion(deployment));
      const evaluation = evalFor(deployment);
      const { index } = await propose(consensus, {
        type: 'deployment-promote',
        deploymentId: deployment.ID,
        groups,
        eval: evaluation,
        time: toNanos(now()),
      });
      return { EvalID: evaluation.ID, DeploymentModifyIndex: index, Index: index };
    },

    async 'Deployment.SetAllocHealth'(args) {
      const deployment = requireActive(args.DeploymentID, 'set health of allocations for a');
      const [healthy, unhealthy] = [args.HealthyAllocationIDs ?? [], args.UnhealthyAllocationIDs ?? []];
      if (healthy.length + unhealthy.length === 0) {
        throw new MeshError('E_BAD_REQUEST', 'must specify at least one healthy/unhealthy allocation ID');
      }
      // Whoever calls an allocation unhealthy has judged the roll-out: it waits neither for its deadline nor for a retry.
      const judged = unhealthy.length > 0 ? judgedUnhealthy(deployment, unhealthy) : null;
      const evaluation = judged?.eval ?? evalFor(deployment);
      const { index } = await propose(consensus, {
        type: 'deployment-alloc-health',
        deploymentId: deployment.ID,
        healthy,
        unhealthy,
        timestamp: rfc3339(now()),
        update: judged?.update ?? null,
        job: judged?.job ?? null,
        eval: evaluation,
        time: toNanos(now()),
      });
      const reverted = judged?.job?.Version ?? null;
      return { EvalID: evaluation.ID, DeploymentModifyIndex: index, RevertedJobVersion: reverted, Index: index };
    },
  };
}

/** Refuses a promotion that has nothing to promote, or whose canaries are not all healthy, group by group. */
function checkCanaries(
  deployment: Deployment,
  groups: readonly string[] | null,
  allocs: Parameters<typeof healthyCanaries>[1],
): void {
  const names = groups ?? Object.keys(deployment.TaskGroups);
  const problems: string[] = [];
  let waiting = 0;
  for (const name of names) {
    const group = deployment.TaskGroups[name];
    if (!group) {
      problems.push(`deployment has no task group "${name}"`);
      continue;
    }
    if (group.DesiredCanaries === 0 || group.Promoted) continue;
    waiting++;
    const healthy = healthyCanaries(group, allocs);
    if (healthy < group.DesiredCanaries) {
      problems.push(`Task group "${name}" has ${healthy}/${group.DesiredCanaries} healthy allocations`);
    }
  }
  if (problems.length === 0 && waiting === 0) problems.push('no canaries to promote');
  if (problems.length > 0) throw new MeshError('E_BAD_REQUEST', problems.join('\n'));
}
