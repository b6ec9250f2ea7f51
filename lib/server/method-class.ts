import type { RpcMethods } from '../structs/rpc.js';

/**
 * Who answers a method, when another server than the leader is asked.
 *
 * - `here`: the server asked, about itself or about what it sees; or it finds the one who can (a node).
 * - `read`: the leader, unless a stale answer will do. A blocking one is answered here, from what is applied here, after
 *   everything that was committed when it came.
 * - `readHere`: likewise, but always here.
 * - `write`: the leader. When its outcome is not known, that is said, and it is not repeated.
 * - `leaderFirst`: the leader; without one, the server asked does what it can.
 * - `again`: the leader; doing it twice is as good as once, so it is repeated until somebody answers.
 */
export type MethodClass = 'here' | 'read' | 'readHere' | 'write' | 'again' | 'leaderFirst';

/** Every method has its class: one that is missing is a mistake that the compiler finds. */
export const METHOD_CLASS: Record<keyof RpcMethods, MethodClass> = {
  'Status.Ping': 'here',
  'Status.Leader': 'here',
  'Status.Peers': 'here',
  'Status.Members': 'here',
  'Status.ServerStats': 'here',
  'Status.HasNodeConn': 'here',

  'Job.Register': 'write',
  'Job.Validate': 'here',
  'Job.Plan': 'again',
  'Job.Deregister': 'write',
  'Job.Evaluate': 'write',
  'Job.Revert': 'write',
  'Job.Stable': 'again',
  'Job.List': 'read',
  'Job.GetJob': 'read',
  'Job.GetSubmission': 'read',
  'Job.Versions': 'read',
  'Job.TagVersion': 'write',
  'Job.Allocations': 'read',
  'Job.Evaluations': 'read',
  'Job.Deployments': 'read',
  'Job.LatestDeployment': 'read',
  'Job.Why': 'read',
  'Job.Summary': 'read',
  'Job.Dispatch': 'write',
  'Job.Scale': 'write',
  'Job.ScaleStatus': 'read',
  'Periodic.Force': 'write',

  'NodePool.List': 'read',
  'NodePool.GetNodePool': 'read',
  'NodePool.ListNodes': 'read',
  'NodePool.ListJobs': 'read',
  'NodePool.Upsert': 'again',
  'NodePool.Delete': 'write',

  'Alloc.List': 'read',
  'Alloc.GetAlloc': 'read',
  'Alloc.Why': 'read',
  'Alloc.Stop': 'write',
  'Alloc.UpdateDesiredTransition': 'write',

  'Eval.List': 'read',
  'Eval.Count': 'read',
  'Eval.GetEval': 'read',
  'Eval.Allocations': 'read',

  'Deployment.List': 'read',
  'Deployment.GetDeployment': 'read',
  'Deployment.Allocations': 'read',
  'Deployment.Fail': 'write',
  'Deployment.Pause': 'write',
  'Deployment.Promote': 'write',
  'Deployment.SetAllocHealth': 'write',

  'Node.List': 'read',
  'Node.GetNode': 'read',
  'Node.GetAllocs': 'read',
  'Node.UpdateDrain': 'write',
  'Node.UpdateEligibility': 'again',
  'Node.Evaluate': 'write',
  'Node.Purge': 'write',
  // What a client says of itself is said again until it is heard. Its work it takes from the server it is linked to.
  'Node.Register': 'again',
  'Node.UpdateStatus': 'again',
  'Node.UpdateAlloc': 'again',
  'Node.GetClientAllocs': 'readHere',
  'Alloc.GetAllocs': 'readHere',

  'System.GarbageCollect': 'again',
  'System.ReconcileJobSummaries': 'again',
  'Operator.SchedulerGetConfiguration': 'read',
  'Operator.SchedulerSetConfiguration': 'write',
  'Operator.Rebalance': 'read',

  'Operator.RaftGetConfiguration': 'read',
  'Operator.RaftRemovePeer': 'write',
  'Operator.TransferLeadership': 'write',
  'Operator.AutopilotGetConfiguration': 'read',
  'Operator.AutopilotSetConfiguration': 'write',
  'Operator.ServerHealth': 'again',
  'Operator.ServerWhy': 'again',
  'Operator.RecoveryView': 'here',
  'Operator.Recover': 'here',

  'ClientStats.Stats': 'here',
  'Allocations.Stats': 'here',
  'Allocations.Restart': 'here',
  'Allocations.Signal': 'here',
  'Allocations.GarbageCollect': 'here',
  'Allocations.GarbageCollectAll': 'here',
  'FileSystem.List': 'here',
  'FileSystem.Stat': 'here',

  'Mesh.Info': 'read',
  'Mesh.Members': 'readHere',
  'Mesh.Member': 'read',
  'Mesh.Roster': 'readHere',
  'Mesh.CreateInvite': 'write',
  'Mesh.ListInvites': 'read',
  'Mesh.RevokeInvite': 'again',
  'Mesh.Redeem': 'again',
  'Mesh.Renew': 'again',
  'Mesh.Approve': 'again',
  'Mesh.Revoke': 'leaderFirst',
  'Mesh.Bury': 'here',
  'Mesh.Leave': 'write',
  'Mesh.Rotate': 'write',
  'Mesh.ExportRecovery': 'write',
  'Mesh.Reissue': 'again',
  'Mesh.NetReport': 'here',
  'Mesh.Net': 'here',
  'Feed.Describe': 'here',
};
