import type { Query, Write } from './rpc-options.js';
import type { ServiceListStub, ServiceRegistration } from './service.js';

/** The catalogue of services. What is out of reach or not passing its checks is left out, unless `All` is said. */
export interface ServiceRpcMethods {
  /** By namespace, sorted by name. */
  'ServiceRegistration.List': Query<{ All?: boolean }, { Services: ServiceListStub[] }>;
  /** `Choose`: "N|KEY" gives at most N instances, the same ones for the same key as long as they are there. */
  'ServiceRegistration.GetService': Query<
    { ServiceName: string; Choose?: string; All?: boolean },
    { Services: ServiceRegistration[] }
  >;
  /** Takes out what its client has left behind; a client that still runs it says it again with its next change. */
  'ServiceRegistration.DeleteByID': Write<{ ServiceName: string; ID: string }, object>;
  /** Every registration of an allocation, whatever its health. */
  'Alloc.GetServiceRegistrations': Query<{ AllocID: string }, { Services: ServiceRegistration[] }>;
}
