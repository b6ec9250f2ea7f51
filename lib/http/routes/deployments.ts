import { read, written } from '../answer.js';
import { badRequest, notFound } from '../errors.js';
import { booleanField, stringField, stringsField } from '../fields.js';
import type { Exchange, Routes } from '../router.js';

export const deploymentRoutes: Routes = {
  '/v1/deployments': { GET: list },
  '/v1/deployment/allocations/:id': { GET: allocations },
  '/v1/deployment/fail/:id': { PUT: fail },
  '/v1/deployment/pause/:id': { PUT: pause },
  '/v1/deployment/promote/:id': { PUT: promote },
  '/v1/deployment/unblock/:id': { PUT: unblock },
  '/v1/deployment/allocation-health/:id': { PUT: allocationHealth },
  '/v1/deployment/:id': { GET: get },
};

function deploymentId(exchange: Exchange): string {
  return exchange.params['id'] ?? '';
}

async function list(exchange: Exchange) {
  const reply = await exchange.rpc.call('Deployment.List', exchange.reading(), exchange);
  return read(reply.Deployments, reply);
}

async function get(exchange: Exchange) {
  const args = { ...exchange.reading(), DeploymentID: deploymentId(exchange) };
  const reply = await exchange.rpc.call('Deployment.GetDeployment', args, exchange);
  if (!reply.Deployment) throw notFound('deployment not found');
  return read(reply.Deployment, reply);
}

async function allocations(exchange: Exchange) {
  const args = { ...exchange.reading(), DeploymentID: deploymentId(exchange) };
  const reply = await exchange.rpc.call('Deployment.Allocations', args, exchange);
  return read(reply.Allocations, reply);
}

async function fail(exchange: Exchange) {
  const args = { ...exchange.writing(), DeploymentID: deploymentId(exchange) };
  const reply = await exchange.rpc.call('Deployment.Fail', args, exchange);
  return written(reply, reply.Index);
}

/** The body repeats the id of the path; another one is a mistake of the caller. */
async function bodyOf(exchange: Exchange): Promise<Record<string, unknown>> {
  const body = await exchange.body();
  const id = stringField(body, 'DeploymentID', deploymentId(exchange));
  if (id !== deploymentId(exchange)) throw badRequest('Deployment ID does not match');
  return body;
}

async function pause(exchange: Exchange) {
  const body = await bodyOf(exchange);
  const args = { ...exchange.writing(), DeploymentID: deploymentId(exchange), Pause: booleanField(body, 'Pause') };
  const reply = await exchange.rpc.call('Deployment.Pause', args, exchange);
  return written(reply, reply.Index);
}

async function promote(exchange: Exchange) {
  const body = await bodyOf(exchange);
  const args = {
    ...exchange.writing(),
    DeploymentID: deploymentId(exchange),
    All: booleanField(body, 'All'),
    Groups: stringsField(body, 'Groups'),
  };
  const reply = await exchange.rpc.call('Deployment.Promote', args, exchange);
  return written(reply, reply.Index);
}

/** Only a job of several regions waits for others, and there is one region here. */
async function unblock(exchange: Exchange): Promise<never> {
  const args = { ...exchange.reading(), DeploymentID: deploymentId(exchange) };
  const { Deployment } = await exchange.rpc.call('Deployment.GetDeployment', args, exchange);
  if (!Deployment) throw notFound('deployment not found');
  throw badRequest(`can't unblock deployment: it is ${Deployment.Status}, not blocked`);
}

async function allocationHealth(exchange: Exchange) {
  const body = await bodyOf(exchange);
  const args = {
    ...exchange.writing(),
    DeploymentID: deploymentId(exchange),
    HealthyAllocationIDs: stringsField(body, 'HealthyAllocationIDs'),
    UnhealthyAllocationIDs: stringsField(body, 'UnhealthyAllocationIDs'),
  };
  const reply = await exchange.rpc.call('Deployment.SetAllocHealth', args, exchange);
  return written(reply, reply.Index);
}
