/** google.protobuf.Timestamp and Duration, as the library gives and takes them. */
export interface ProtoTime {
  seconds: number;
  nanos: number;
}

export function toProtoTime(ms: number): ProtoTime {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** 0 for one that is not given. */
export function fromProtoTime(time: ProtoTime | null): number {
  return time ? Number(time.seconds) * 1000 + time.nanos / 1e6 : 0;
}
