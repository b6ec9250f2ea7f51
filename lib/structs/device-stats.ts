// What devices do at the moment, in Nomad's shape.

/** One figure: a number, perhaps a part of another one ("2 / 16384 MiB"), a text or a truth value. */
export interface StatValue {
  FloatNumeratorVal?: number;
  FloatDenominatorVal?: number;
  IntNumeratorVal?: number;
  IntDenominatorVal?: number;
  StringVal?: string;
  BoolVal?: boolean;
  Unit?: string;
  Desc?: string;
}

export interface StatObject {
  Nested: Record<string, StatObject> | null;
  Attributes: Record<string, StatValue>;
}

/** The figures of one instance; Summary is the most telling one. */
export interface DeviceStats {
  Summary: StatValue;
  Stats: StatObject;
  /** RFC 3339. */
  Timestamp: string;
}

/** The figures of the devices of one vendor, type and model, by instance id. */
export interface DeviceGroupStats {
  Vendor: string;
  Type: string;
  Name: string;
  InstanceStats: Record<string, DeviceStats>;
}
