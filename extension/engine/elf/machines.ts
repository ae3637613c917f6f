// The machines that the engine has an architecture for (arch/), under the names that messages give them.

/** Names by e_machine (gABI, "ELF Header"). */
export const MACHINES: ReadonlyMap<number, string> = new Map([[62, 'x86-64']]);
