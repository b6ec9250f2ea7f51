import type { Allocation } from '../../structs/allocation.js';
import { MeshError } from '../../structs/errors.js';
import type { ServiceRegistration, ServiceReport } from '../../structs/service.js';
import { err, ok } from '../../util/result.js';
import type { CommandResult, ServiceDeleteCommand } from '../commands.js';
import type { Transaction } from '../transaction.js';

/** Makes the services of an allocation what its client says they are; those that did not change keep their row. */
export function replaceServices(txn: Transaction, alloc: Allocation, reports: readonly ServiceReport[]): void {
  const known = new Map(txn.tables.services.under('alloc', alloc.ID).map((row) => [row.ID, row]));
  for (const report of reports) {
    const before = known.get(report.ID);
    known.delete(report.ID);
    // The id is the client's word: it must not take over another allocation's row.
    if (before === undefined && txn.tables.services.get(report.ID) !== undefined) continue;
    if (before === undefined || !isSame(before, report)) txn.putService(register(txn, alloc, report, before));
  }
  for (const gone of known.values()) txn.deleteService(gone);
}

/** Takes an allocation that is over out of the catalogue. */
export function forgetServices(txn: Transaction, allocId: string): void {
  for (const service of txn.tables.services.under('alloc', allocId)) txn.deleteService(service);
}

export function applyServiceDelete(txn: Transaction, command: ServiceDeleteCommand): CommandResult<'service-delete'> {
  const service = txn.tables.services.get(command.id);
  const isThere = service?.Namespace === command.namespace && service.ServiceName === command.name;
  if (!isThere) return err(new MeshError('E_NOT_FOUND', `service registration ${command.id} not found`));
  txn.deleteService(service);
  return ok(null);
}

function register(
  txn: Transaction,
  alloc: Allocation,
  report: ServiceReport,
  before: ServiceRegistration | undefined,
): ServiceRegistration {
  const { ID, ServiceName, Tags, Address, Port, Health } = report;
  return {
    ID,
    ServiceName,
    Tags,
    Address,
    Port,
    Health,
    Namespace: alloc.Namespace,
    NodeID: alloc.NodeID,
    Datacenter: txn.tables.nodes.get(alloc.NodeID)?.Datacenter ?? '',
    JobID: alloc.JobID,
    AllocID: alloc.ID,
    CreateIndex: before?.CreateIndex ?? txn.index,
    ModifyIndex: txn.index,
  };
}

function isSame(row: ServiceRegistration, report: ServiceReport): boolean {
  return (
    row.ServiceName === report.ServiceName &&
    row.Address === report.Address &&
    row.Port === report.Port &&
    row.Health === report.Health &&
    (row.Tags ?? []).join('\0') === (report.Tags ?? []).join('\0')
  );
}
