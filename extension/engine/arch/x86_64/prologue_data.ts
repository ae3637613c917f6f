// Data that clang 4 to 16 put at the begin of a function's code for -fsanitize=function (a part of -fsanitize=undefined in
// C++): `eb 06 76 32`, a jump behind it that is the signature too, and the distance from the entry to a pointer to the
// function's type information. Code that calls through a pointer looks for the signature at the entry; only where it is
// does it read the distance, and compare the type (clang, CodeGenFunction::StartFunction and EmitCall; "v2" are 76 32).
// clang 17 and later have their data in front of the entry, where it is no part of the function's code.

/** `jmp +6` with "v2" behind it. */
const SIGNATURE = [0xeb, 0x06, 0x76, 0x32] as const;

export const PROLOGUE_DATA_SIZE = 8;

/** Where the distance is, which counts from the entry. */
export const TYPE_DISTANCE = SIGNATURE.length;

/** @param code that begins with the entry */
export function hasPrologueData(code: Uint8Array): boolean {
  return code.length >= PROLOGUE_DATA_SIZE && SIGNATURE.every((byte, i) => code[i] === byte);
}
