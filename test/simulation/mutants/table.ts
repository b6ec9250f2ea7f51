/** A bug to plant: in one compiled file, `from` (found exactly once) becomes `to`. */
export interface Mutant {
  readonly name: string;
  /** Below dist/lib, without its ending. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The bugs that Raft's rules exist to prevent. Each must be caught by the simulation, or else by a test of its room. */
export const MUTANTS: readonly Mutant[] = [
  // Elections
  {
    name: 'votes twice in a term',
    file: 'raft/election',
    from: "state.vote === from || (state.vote === '' && state.leader === '')",
    to: 'true',
  },
  {
    name: 'forgets its vote in a crash',
    file: 'raft/raft',
    from: 'return { term, vote, commit: log.committed };',
    to: "return { term, vote: '', commit: log.committed };",
  },
  {
    name: 'keeps no term over a crash',
    file: 'raft/state',
    from: 'this.term = term;\n        this.vote = vote;\n        const snapshot',
    to: "this.term = Math.max(1, term - 1);\n        this.vote = '';\n        const snapshot",
  },
  {
    name: 'votes for a log that lacks entries',
    file: 'raft/log',
    from: 'return lastTerm > this.lastTerm ||',
    to: 'return true ||',
  },
  {
    name: 'compares logs by length alone',
    file: 'raft/log',
    from: 'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);',
    to: 'return lastIndex >= this.lastIndex;',
  },
  {
    name: 'half the votes are enough',
    file: 'raft/quorum',
    from: 'Math.floor(n / 2) + 1',
    to: 'Math.max(1, Math.floor(n / 2))',
  },
  {
    name: 'counts trial votes as votes',
    file: 'raft/election',
    from: 'if (state.role === awaited)',
    to: "if (state.role === awaited || state.role === 'candidate')",
  },
  {
    name: 'stands for election while it installs a snapshot',
    file: 'raft/election',
    from: '|| state.log.installing !== null',
    to: '',
  },
  {
    name: 'a learner stands for election',
    file: 'raft/state',
    from: 'return this.isVoter || this.members.at(this.log.committed).voters.includes(this.id);',
    to: 'return true;',
  },
  {
    name: 'disturbs a leader that others hear',
    file: 'raft/election',
    from: "return state.leader !== '' &&",
    to: 'return false &&',
  },
  {
    name: 'leads on without a majority',
    file: 'raft/election',
    from: 'if (heard < majority(state.membership.voters.length))',
    to: 'if (heard < 0)',
  },
  {
    name: 'enters the term of a trial',
    file: 'raft/raft',
    from: 'if (message.pre)\n                return true;',
    to: '',
  },
  {
    name: 'tells a successor to stand that lacks entries',
    file: 'raft/election',
    from: "if (successor === '' || state.progress.get(successor)?.match !== state.log.lastIndex)",
    to: "if (successor === '')",
  },
  // Promises and the disk
  {
    name: 'acknowledges before the disk has it',
    file: 'raft/raft',
    from: 'messages: voteChanged ? [] : state.outbox,\n            messagesAfterPersist: voteChanged ? [...state.outbox, ...state.outboxAfterPersist] : state.outboxAfterPersist,',
    to: 'messages: [...state.outbox, ...state.outboxAfterPersist],\n            messagesAfterPersist: [],',
  },
  {
    name: 'the leader counts what it has not written',
    file: 'raft/replication',
    from: 'own.accepted(state.log.stableIndex);',
    to: 'own.accepted(state.log.lastIndex);',
  },
  {
    name: 'applies what is not on its disk',
    file: 'raft/log',
    from: 'return this.#slice(this.#applied + 1, Math.min(this.#committed, this.stableIndex), bytesMax);',
    to: 'return this.#slice(this.#applied + 1, this.#committed, bytesMax);',
  },
  {
    name: 'takes a replaced entry for written',
    file: 'raft/log',
    from: 'if (index < this.#offset || this.#unstable[index - this.#offset]?.term !== term)',
    to: 'if (index < this.#offset || this.#unstable[index - this.#offset] === undefined)',
  },
  // Replication
  {
    name: 'takes entries that do not follow on',
    file: 'raft/replication',
    from: 'if (!log.matches(message.prevIndex, message.prevTerm))',
    to: 'if (message.prevIndex > log.lastIndex)',
  },
  {
    name: 'keeps its own entries where they conflict',
    file: 'raft/log',
    from: 'return entries.find((entry) => !this.matches(entry.index, entry.term));',
    to: 'return entries.find((entry) => entry.index > this.lastIndex);',
  },
  {
    name: 'a late message cuts what came after it',
    file: 'raft/log',
    from: 'return entries.find((entry) => !this.matches(entry.index, entry.term));',
    to: 'return entries.find((entry) => entry.index > this.committed);',
  },
  {
    name: 'says it has all, not what was agreed',
    file: 'raft/replication',
    from: 'const match = message.prevIndex + message.entries.length;',
    to: 'const match = log.lastIndex;',
  },
  // Commit
  {
    name: 'commits an older term by counting',
    file: 'raft/state',
    from: 'this.log.matches(index, this.term) &&',
    to: '',
  },
  {
    name: 'commits what one follower has',
    file: 'raft/quorum',
    from: 'return values[majority(voters.length) - 1] ?? 0;',
    to: 'return values[Math.max(0, majority(voters.length) - 2)] ?? 0;',
  },
  {
    name: 'counts learners towards a majority',
    file: 'raft/state',
    from: 'const index = quorumValue(this.membership.voters,',
    to: 'const index = quorumValue([...this.membership.voters, ...this.membership.learners],',
  },
  {
    name: 'a follower commits beyond what was confirmed',
    file: 'raft/replication',
    from: 'state.commitTo(Math.min(message.commit, match));',
    to: 'state.commitTo(Math.min(message.commit, log.lastIndex));',
  },
  {
    name: 'a heartbeat commits what the follower may not have',
    file: 'raft/replication',
    from: 'const commit = Math.min(match, state.log.committed);',
    to: 'const commit = match < 0 ? 0 : state.log.committed;',
  },
  // Membership
  {
    name: 'applies a change of membership late',
    file: 'raft/state',
    from: 'return this.members.latest;',
    to: 'return this.members.at(this.log?.committed ?? 0);',
  },
  {
    name: 'changes membership twice at once',
    file: 'raft/raft',
    from: 'if (state.members.latestIndex > state.log.committed || !state.hasCommittedInTerm)',
    to: 'if (!state.hasCommittedInTerm)',
  },
  {
    name: 'changes membership before its own term has a commit',
    file: 'raft/raft',
    from: 'if (state.members.latestIndex > state.log.committed || !state.hasCommittedInTerm)',
    to: 'if (state.members.latestIndex > state.log.committed)',
  },
  {
    name: 'keeps a membership whose entry was cut off',
    file: 'raft/state',
    from: 'this.members.truncateFrom(first.index);',
    to: '',
  },
  {
    name: 'a removed leader leads on',
    file: 'raft/replication',
    from: 'if (!state.isVoter && state.log.committed >= state.members.latestIndex) {',
    to: 'if (state.log.committed < 0) {',
  },
  // Snapshots
  {
    name: 'skips the term of a snapshot',
    file: 'raft/replication',
    from: 'if (log.matches(snapshot.index, snapshot.term))',
    to: 'if (snapshot.index <= log.lastIndex)',
  },
  {
    name: 'forgets the membership of a snapshot',
    file: 'raft/replication',
    from: 'state.members.reset({ index: snapshot.index, membership: snapshot.membership });',
    to: ';',
  },
  {
    name: 'acknowledges a snapshot before it is installed',
    file: 'raft/replication',
    from: 'const outcome = { ok: true, match: log.committed };\n    state.sendAfterPersist(',
    to: 'const outcome = { ok: true, match: log.committed };\n    state.send(',
  },
  // Reads
  {
    name: 'reads by a lease that no majority gave',
    file: 'raft/read-index',
    from: 'if (state.isSoleVoter)',
    to: 'if (true)',
  },
  {
    name: 'reads before it knows what is committed',
    file: 'raft/read-index',
    from: 'if (!state.hasCommittedInTerm) {\n        state.earlyReads',
    to: 'if (false) {\n        state.earlyReads',
  },
  {
    name: 'takes an old answer for a read’s confirmation',
    file: 'raft/replication',
    from: 'progress.ackedRound = Math.max(progress.ackedRound, message.round);',
    to: 'progress.ackedRound = state.readRound;',
  },
  {
    name: 'a read joins a round that has left',
    file: 'raft/replication',
    from: 'state.hasNews = { entries: false, commit: false, round: false };',
    to: 'state.hasNews = { entries: false, commit: false, round };',
  },
  // The disk: caught by the tests of storage on a disk that fails
  { name: 'does not sync the log', file: 'storage/raft-log', from: 'await segment.file.sync();', to: '' },
  {
    name: 'does not sync term and vote',
    file: 'storage/small-file',
    from: 'await file.sync();',
    to: '',
  },
  {
    name: 'does not sync the folder of term and vote',
    file: 'storage/small-file',
    from: 'await disk.syncDir(folder);',
    to: '',
  },
  {
    name: 'loses acknowledged entries behind a damaged one',
    file: 'storage/raft-log-format',
    from: 'if (record !== undefined && record.batchFirst > expected)',
    to: 'if (record === null)',
  },
  {
    name: 'reads on behind a record whose checksum is wrong',
    file: 'storage/raft-log-format',
    from: 'if (!dirty)',
    to: 'if (true)',
  },
  {
    name: 'a new segment is named before it is on disk',
    file: 'storage/raft-log',
    from: 'await file.sync();\n            this.#disk.rename',
    to: 'this.#disk.rename',
  },
  {
    name: 'a snapshot is named before it is on disk',
    file: 'storage/snapshots',
    from: 'await file.sync();',
    to: '',
  },
  // The host: caught by the simulation of consensus as a whole
  { name: 'promises before it is durable', file: 'server/consensus-host', from: 'await written;', to: 'void written;' },
  {
    name: 'gives a vote that is not on disk',
    file: 'server/consensus-durable',
    from: 'before.term === hardState.term && before.vote === hardState.vote',
    to: 'before.term === hardState.term',
  },
  {
    name: 'leads before it has applied what was before its term',
    file: 'server/consensus-host',
    from: 'this.#applied >= termStart',
    to: 'true',
  },
  {
    name: 'takes an answer to a question of its former life',
    file: 'server/consensus-pending',
    from: '(this.#context ?? this.#contextsFrom()) + 1',
    to: '(this.#context ?? 0) + 1',
  },
  {
    name: 'answers reads before their index is applied',
    file: 'server/consensus-pending',
    from: 'waiting.index <= index',
    to: 'true',
  },
  {
    name: 'goes on with the old machine after a refused write',
    file: 'server/consensus-host',
    from: 'this.#raft = this.#newRaft();\n        this.#state',
    to: 'this.#state',
  },
  {
    name: 'takes a snapshot over before its term is durable',
    file: 'server/consensus-durable',
    from: 'await this.#saveVote(hardState);\n        this.#chain',
    to: 'this.#chain',
  },
  {
    name: 'keeps a log that a snapshot has replaced',
    file: 'server/consensus-durable',
    from: 'await log.reset(meta);',
    to: '',
  },
  {
    name: 'starts with a log that does not reach its snapshot',
    file: 'server/consensus-stores',
    from: 'if (log.term(meta.index) === meta.term)',
    to: 'if (true)',
  },
  {
    name: 'counts on data that was lost or restored',
    file: 'server/consensus-link',
    from: 'if (!own.admitted)',
    to: 'if (false)',
  },
  {
    name: 'admits new data without putting its server out of the group',
    file: 'server/consensus-admission',
    from: "if (!isMember || known === 'anyData')",
    to: 'if (true)',
  },
];
