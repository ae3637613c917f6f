// The walk through .eh_frame, record by record and instruction by instruction. Reads the mapped patch only.
#include "unwind_records.h"

#include "arch_x86_64.h"
#include "dwarf_cursor.h"
#include "process.h"

#include "poison.h"

namespace hot_fix {
namespace {

/** Reads an encoded pointer; the encoding is a known one, and its being indirect is the caller's affair. */
std::uint64_t read_encoded(const std::uint8_t *at, std::uint8_t encoding, bool relative) {
  std::uint64_t value = encoded_value(at, encoding);
  if (relative && value != 0 && (encoding & 0x70) == pe_pc_relative) value += reinterpret_cast<std::uint64_t>(at);
  return value;
}

/** Whether the unwinder can evaluate it (DWARF 4, section 2.5): the operations of compilers and linkers, and enough on
 * the stack for each. `depth` is what is there before. */
bool is_known_expression(Cursor code, unsigned depth) {
  while (code.has_more()) {
    const std::uint8_t operation = code.byte();
    unsigned taken = 0, left = 1;
    if (operation >= 0x70 && operation <= 0x70 + arch::last_unwind_register) { // DW_OP_breg
      code.leb128();
    } else if (operation == 0x08 || operation == 0x09) { // DW_OP_const1u, const1s
      code.skip(1);
    } else if (operation == 0x0a || operation == 0x0b) { // const2
      code.skip(2);
    } else if (operation == 0x0c || operation == 0x0d) { // const4
      code.skip(4);
    } else if (operation == 0x10 || operation == 0x11) { // constu, consts
      code.leb128();
    } else if (operation == 0x06) { // deref
      taken = 1;
    } else if (operation == 0x12) { // dup
      taken = 1, left = 2;
    } else if (operation == 0x23) { // plus_uconst
      taken = 1;
      code.leb128();
    } else if (operation == 0x1a || operation == 0x1c || operation == 0x1e || operation == 0x22 || operation == 0x24 ||
               operation == 0x2a) { // and, minus, mul, plus, shl, ge
      taken = 2;
    } else if (operation < 0x30 || operation > 0x4f) { // DW_OP_lit
      return false;
    }
    if (depth < taken) return false;
    depth = depth - taken + left;
    if (depth > 32) return false; // the unwinder's stack has 64
  }
  return code.ok && depth > 0;
}

/** Whether the unwinder can carry the instructions out (DWARF 4, section 6.4.2). */
bool are_known_instructions(Cursor code) {
  const auto is_register = [&]() { return code.leb128() <= arch::last_unwind_register && code.ok; };
  unsigned remembered = 0;
  while (code.has_more()) {
    const std::uint8_t instruction = code.byte();
    if ((instruction & 0xc0) != 0) { // DW_CFA_advance_loc, offset, restore: the operand is in the low bits
      if ((instruction & 0xc0) == 0x40) continue;
      if ((instruction & 0x3f) > arch::last_unwind_register) return false;
      if ((instruction & 0xc0) == 0x80) code.leb128();
      continue;
    }
    switch (instruction) {
    case 0x00: // nop
      break;
    case 0x02: // advance_loc1
      code.skip(1);
      break;
    case 0x03: // advance_loc2
      code.skip(2);
      break;
    case 0x04: // advance_loc4
      code.skip(4);
      break;
    case 0x05: // offset_extended
    case 0x0c: // def_cfa
    case 0x11: // offset_extended_sf
    case 0x12: // def_cfa_sf
    case 0x14: // val_offset
    case 0x15: // val_offset_sf
      if (!is_register()) return false;
      code.leb128();
      break;
    case 0x06: // restore_extended
    case 0x07: // undefined
    case 0x08: // same_value
    case 0x0d: // def_cfa_register
      if (!is_register()) return false;
      break;
    case 0x09: // register
      if (!is_register() || !is_register()) return false;
      break;
    case 0x0a: // remember_state
      if (++remembered > 16) return false;
      break;
    case 0x0b: // restore_state
      if (remembered-- == 0) return false;
      break;
    case 0x0e: // def_cfa_offset
    case 0x13: // def_cfa_offset_sf
    case 0x2e: // GNU_args_size
      code.leb128();
      break;
    case 0x0f: // def_cfa_expression
      if (!is_known_expression(code.block(), 0)) return false;
      break;
    case 0x10: // expression
    case 0x16: // val_expression
      if (!is_register() || !is_known_expression(code.block(), 1)) return false;
      break;
    default:
      return false;
    }
  }
  return code.ok;
}

struct Cie {
  std::uint8_t fde_encoding = pe_absolute, lsda_encoding = pe_omitted;
  bool is_augmented = false;
};

/** Reads and checks a CIE. `record` follows the CIE id. */
bool read_cie(const PatchFile &file, Cursor record, Cie &cie) {
  const std::uint8_t version = record.byte();
  if (version != 1 && version != 3) return false;
  const auto *augmentation = reinterpret_cast<const char *>(record.at);
  while (record.ok && record.byte() != 0) {
  }
  if (record.leb128() == 0) return false; // code alignment
  record.leb128();                        // data alignment
  const std::uint64_t return_column = version == 1 ? record.byte() : record.leb128();
  if (!record.ok || return_column != arch::return_address_column) return false;
  if (augmentation[0] == '\0') return are_known_instructions(record);
  if (augmentation[0] != 'z') return false;
  cie.is_augmented = true;
  Cursor data = record.block();
  for (const char *letter = augmentation + 1; *letter != '\0' && data.ok; letter++) {
    if (*letter == 'R') {
      cie.fde_encoding = data.byte();
      if (!is_known_encoding(cie.fde_encoding) || (cie.fde_encoding & pe_indirect) != 0) return false;
    } else if (*letter == 'L') {
      cie.lsda_encoding = data.byte();
      const bool is_direct = is_known_encoding(cie.lsda_encoding) && (cie.lsda_encoding & pe_indirect) == 0;
      if (cie.lsda_encoding != pe_omitted && !is_direct) return false;
    } else if (*letter == 'P') {
      const std::uint8_t encoding = data.byte();
      const std::uint8_t *at = data.at;
      if (!is_known_encoding(encoding)) return false;
      data.skip(encoded_size(encoding));
      if (!data.ok) return false;
      const std::uint64_t personality = read_encoded(at, encoding, true);
      // Its slot (DW.ref.__gxx_personality_v0) is the module's where the module has one, or an earlier patch's.
      std::uint64_t slot;
      const bool is_indirect = personality != 0 && (encoding & pe_indirect) != 0;
      if (is_indirect && file.segment_of(personality, sizeof slot) == nullptr &&
          read_memory(personality, &slot, sizeof slot) != sizeof slot) {
        return false;
      }
    } else if (*letter != 'S') {
      return false;
    }
  }
  return data.ok && are_known_instructions(record);
}

/** Checks an FDE. `record` follows the CIE pointer. */
bool check_fde(const PatchFile &file, Cursor record, const Cie &cie) {
  const std::uint8_t *begin_at = record.at;
  const std::size_t size = encoded_size(cie.fde_encoding);
  record.skip(2 * size);
  if (!record.ok) return false;
  const std::uint64_t begin = read_encoded(begin_at, cie.fde_encoding, true);
  const std::uint64_t range = read_encoded(begin_at + size, cie.fde_encoding, false);
  if (range == 0 || file.segment_of(begin, range) == nullptr) return false;
  if (cie.is_augmented) {
    Cursor data = record.block();
    if (cie.lsda_encoding != pe_omitted) {
      const std::uint8_t *lsda_at = data.at;
      data.skip(encoded_size(cie.lsda_encoding));
      if (!data.ok) return false;
      const std::uint64_t lsda = read_encoded(lsda_at, cie.lsda_encoding, true);
      if (lsda != 0 && file.segment_of(lsda, 4) == nullptr) return false;
    }
  }
  return are_known_instructions(record);
}

} // namespace

bool check_eh_frame(const PatchFile &file, const PatchNote &note, const char *path, Failure &failure) {
  const auto malformed = [&](const char *what) {
    return fail(failure, Code::bad_patch_file, 0, nullptr, "%s: %s", path, what);
  };
  if (note.eh_frame == 0) return true;
  const Segment *segment = file.segment_of(note.eh_frame, note.eh_frame_size);
  // The unwinder reads to a zero word, not to a size.
  if (segment == nullptr || note.eh_frame_size < 4 || (note.eh_frame & 3) != 0) {
    return malformed("its .eh_frame lies outside of its segments");
  }
  const auto *start = reinterpret_cast<const std::uint8_t *>(note.eh_frame);
  const std::uint8_t *end = start + note.eh_frame_size;
  for (const std::uint8_t *at = start; end - at >= 4;) {
    std::uint32_t length;
    std::memcpy(&length, at, sizeof length);
    if (length == 0) return true;
    const std::uint8_t *id_at = at + 4;
    if (length < 4 || length > static_cast<std::uint64_t>(end - id_at)) break;
    std::uint32_t id;
    std::memcpy(&id, id_at, sizeof id);
    Cie cie;
    if (id == 0) {
      if (!read_cie(file, {id_at + 4, id_at + length}, cie)) break;
    } else {
      // The CIE pointer counts back from its own place to a CIE that came before.
      if (id < 12 || id > static_cast<std::uint64_t>(id_at - start)) break;
      const std::uint8_t *from = id_at - id;
      std::uint32_t cie_length, cie_id;
      std::memcpy(&cie_length, from, sizeof cie_length);
      std::memcpy(&cie_id, from + 4, sizeof cie_id);
      if (cie_id != 0 || cie_length < 4 || cie_length > static_cast<std::uint64_t>(end - (from + 4))) break;
      if (!read_cie(file, {from + 8, from + 4 + cie_length}, cie)) break;
      if (!check_fde(file, {id_at + 4, id_at + length}, cie)) break;
    }
    at = id_at + length;
  }
  return malformed("its .eh_frame is malformed or does not end with a zero word");
}

} // namespace hot_fix
