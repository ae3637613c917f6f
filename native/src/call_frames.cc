// The search for the record of a counter, and its instructions carried out up to there.
#include "call_frames.h"

#include "dwarf_cursor.h"
#include "process.h"

#include <dlfcn.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::size_t register_count = arch::last_unwind_register + 1;
constexpr std::size_t most_record = 4096; // bytes of a record that are read

/** struct dl_find_object (glibc 2.35), whose function finds a module without a lock. */
struct FoundObject {
  unsigned long long flags;
  void *start, *end, *link_map, *header;
  unsigned long long reserved[7];
};

bool find_object(std::uintptr_t address, FoundObject &found) {
  using Find = int (*)(void *, FoundObject *);
  static Find find;
  static bool is_sought;
  if (!is_sought) find = reinterpret_cast<Find>(dlsym(RTLD_DEFAULT, "_dl_find_object"));
  is_sought = true;
  return find != nullptr && find(reinterpret_cast<void *>(address), &found) == 0 && found.header != nullptr;
}

/** A record of .eh_frame as it was copied: `at` is the address of its first byte behind the length. */
struct Record {
  std::uintptr_t at;
  std::uint32_t length;
  std::uint8_t bytes[most_record];

  Cursor cursor() const { return {bytes, bytes + length}; }
};

bool read_record(std::uintptr_t address, Record &record) {
  if (read_memory(address, &record.length, sizeof record.length) != sizeof record.length) return false;
  record.at = address + sizeof record.length;
  if (record.length < 4 || record.length > most_record) return false; // also the 64-bit form
  return read_memory(record.at, record.bytes, record.length) == record.length;
}

/** The FDE of the last function that begins at the counter or before it: the sorted table of .eh_frame_hdr. */
bool find_record(std::uintptr_t counter, std::uintptr_t &address) {
  FoundObject object{};
  if (!find_object(counter, object)) return false;
  const auto header = reinterpret_cast<std::uintptr_t>(object.header);
  std::uint8_t head[12]; // version, encodings of the pointer, the count and the table; the pointer, the count
  if (read_memory(header, head, sizeof head) != sizeof head) return false;
  if (head[0] != 1 || encoded_size(head[1]) != 4 || head[2] != pe_udata4 || head[3] != (pe_data_relative | pe_sdata4)) {
    return false;
  }
  std::uint32_t count;
  std::memcpy(&count, head + 8, sizeof count);
  struct Row {
    std::int32_t start, record;
  };
  const auto row_at = [&](std::size_t index, Row &row) {
    return read_memory(header + sizeof head + index * sizeof row, &row, sizeof row) == sizeof row;
  };
  const auto counted = [&](std::int32_t from) { return header + static_cast<std::uintptr_t>(std::intptr_t{from}); };
  std::size_t low = 0, high = count;
  Row row;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (!row_at(middle, row)) return false;
    if (counted(row.start) <= counter) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0 || !row_at(low - 1, row)) return false;
  address = counted(row.record);
  return true;
}

struct Rule {
  enum Kind : std::uint8_t { same, undefined, at_offset, is_offset, in_register, unreadable } kind;
  std::int64_t operand;
};

/** How the registers of a caller are found (DWARF 4, section 6.4.1). */
struct Rules {
  std::uint64_t cfa_register;
  std::int64_t cfa_offset;
  Cursor cfa_expression; // empty unless the frame's address is one
  Rule registers[register_count];
};

struct Factors {
  std::uint64_t code;
  std::int64_t data;
};

/** Carries out instructions (DWARF 4, section 6.4.2) until they pass `counter`. */
bool run(Cursor code, Factors factors, std::uintptr_t location, std::uintptr_t counter, const Rules &initial, Rules &rules) {
  constexpr unsigned most_remembered = 4;
  Rules remembered[most_remembered];
  unsigned depth = 0;
  const auto set = [&](std::uint64_t number, Rule::Kind kind, std::int64_t operand) {
    if (number < register_count) rules.registers[number] = {kind, operand};
  };
  const auto restore = [&](std::uint64_t number) {
    if (number < register_count) rules.registers[number] = initial.registers[number];
  };
  const auto define_cfa = [&](std::uint64_t number, std::int64_t offset) {
    rules.cfa_register = number;
    rules.cfa_offset = offset;
    rules.cfa_expression = {nullptr, nullptr};
  };
  const auto factored = [&]() { return static_cast<std::int64_t>(code.leb128()) * factors.data; };
  while (code.has_more()) {
    const std::uint8_t instruction = code.byte();
    const std::uint8_t low = instruction & 0x3f;
    if ((instruction & 0xc0) == 0x40) { // advance_loc
      location += low * factors.code;
      if (location > counter) return true;
      continue;
    }
    if ((instruction & 0xc0) == 0x80) { // offset
      set(low, Rule::at_offset, factored());
      continue;
    }
    if ((instruction & 0xc0) == 0xc0) { // restore
      restore(low);
      continue;
    }
    std::uint64_t number;
    switch (instruction) {
    case 0x00: // nop
      break;
    case 0x02: // advance_loc1, 2, 4
    case 0x03:
    case 0x04:
      location += code.number(std::size_t{1} << (instruction - 2)) * factors.code;
      if (location > counter) return code.ok;
      break;
    case 0x05: // offset_extended
      number = code.leb128();
      set(number, Rule::at_offset, factored());
      break;
    case 0x11: // offset_extended_sf
      number = code.leb128();
      set(number, Rule::at_offset, code.signed_leb128() * factors.data);
      break;
    case 0x14: // val_offset
      number = code.leb128();
      set(number, Rule::is_offset, factored());
      break;
    case 0x15: // val_offset_sf
      number = code.leb128();
      set(number, Rule::is_offset, code.signed_leb128() * factors.data);
      break;
    case 0x06: // restore_extended
      restore(code.leb128());
      break;
    case 0x07: // undefined
      set(code.leb128(), Rule::undefined, 0);
      break;
    case 0x08: // same_value
      set(code.leb128(), Rule::same, 0);
      break;
    case 0x09: // register
      number = code.leb128();
      set(number, Rule::in_register, static_cast<std::int64_t>(code.leb128()));
      break;
    case 0x0a: // remember_state
      if (depth == most_remembered) return false;
      remembered[depth++] = rules;
      break;
    case 0x0b: // restore_state
      if (depth == 0) return false;
      rules = remembered[--depth];
      break;
    case 0x0c: // def_cfa
      number = code.leb128();
      define_cfa(number, static_cast<std::int64_t>(code.leb128()));
      break;
    case 0x12: // def_cfa_sf
      number = code.leb128();
      define_cfa(number, code.signed_leb128() * factors.data);
      break;
    case 0x0d: // def_cfa_register
      define_cfa(code.leb128(), rules.cfa_offset);
      break;
    case 0x0e: // def_cfa_offset
      define_cfa(rules.cfa_register, static_cast<std::int64_t>(code.leb128()));
      break;
    case 0x13: // def_cfa_offset_sf
      define_cfa(rules.cfa_register, code.signed_leb128() * factors.data);
      break;
    case 0x2e: // GNU_args_size
      code.leb128();
      break;
    case 0x0f: // def_cfa_expression
      rules.cfa_expression = code.block();
      break;
    case 0x10: // expression, val_expression
    case 0x16:
      number = code.leb128();
      code.block();
      set(number, Rule::unreadable, 0);
      break;
    default:
      return false;
    }
  }
  return code.ok;
}

bool read_word(std::uintptr_t address, std::uintptr_t &word) {
  return read_memory(address, &word, sizeof word) == sizeof word;
}

/** The frame's address by an expression: what compilers write for a realigned stack, a register and an offset, and the
 * word that lies there (DW_OP_breg, DW_OP_deref). */
bool evaluate(Cursor code, const FrameState &state, std::uintptr_t &value) {
  constexpr std::uint8_t first_breg = 0x70, deref = 0x06;
  const unsigned number = code.byte() - unsigned{first_breg};
  if (!state.knows(number)) return false;
  value = state.registers[number] + static_cast<std::uintptr_t>(code.signed_leb128());
  while (code.has_more()) {
    if (code.byte() != deref || !read_word(value, value)) return false;
  }
  return code.ok;
}

/** The factors of a CIE, how pointers of its FDEs are encoded, and its instructions. False for signal frames. */
bool read_common(const Record &record, Factors &factors, std::uint8_t &encoding, bool &is_augmented, Cursor &code) {
  code = record.cursor();
  if (code.number(4) != 0) return false;
  const std::uint8_t version = code.byte();
  if (version != 1 && version != 3) return false;
  const auto *augmentation = reinterpret_cast<const char *>(code.at);
  while (code.ok && code.byte() != 0) {
  }
  factors.code = code.leb128();
  factors.data = code.signed_leb128();
  if ((version == 1 ? code.byte() : code.leb128()) != arch::return_address_column || !code.ok) return false;
  encoding = pe_absolute;
  is_augmented = augmentation[0] == 'z';
  if (!is_augmented) return augmentation[0] == '\0';
  Cursor data = code.block();
  for (const char *letter = augmentation + 1; *letter != '\0'; letter++) {
    if (*letter == 'R') {
      encoding = data.byte();
    } else if (*letter == 'L') {
      data.byte();
    } else if (*letter == 'P') {
      data.skip(encoded_size(data.byte()));
    } else {
      return false; // 'S': the interrupted code may be anywhere, where records are not always exact
    }
  }
  return data.ok && is_known_encoding(encoding) && (encoding & pe_indirect) == 0;
}

/** The rules that hold at the counter, and the code that its record is for. */
bool find_rules(std::uintptr_t counter, Rules &rules, std::uintptr_t (&function)[2]) {
  static Record record, common; // used by the worker alone, whose stack is small
  std::uintptr_t address;
  if (!find_record(counter, address) || !read_record(address, record)) return false;
  Cursor code = record.cursor();
  const std::uint64_t back = code.number(4);
  if (back == 0 || !read_record(record.at - back, common)) return false;
  Factors factors;
  std::uint8_t encoding;
  bool is_augmented;
  Cursor first{};
  if (!read_common(common, factors, encoding, is_augmented, first)) return false;
  const std::size_t size = encoded_size(encoding);
  const std::uint8_t *start_at = code.at;
  code.skip(2 * size);
  if (is_augmented) code.block();
  if (!code.ok) return false;
  function[0] = encoded_value(start_at, encoding);
  if ((encoding & 0x70) == pe_pc_relative) function[0] += record.at + static_cast<std::uintptr_t>(start_at - record.bytes);
  function[1] = function[0] + encoded_value(start_at + size, encoding & 0x0f);
  if (counter < function[0] || counter >= function[1]) return false;
  rules = {};
  static Rules initial;
  initial = {};
  if (!run(first, factors, 0, UINTPTR_MAX, initial, rules)) return false;
  initial = rules;
  return run(code, factors, function[0], counter, initial, rules);
}

} // namespace

FrameStep step_frame(FrameState &state, bool is_return, std::uintptr_t (&function)[2]) {
  Rules rules{};
  if (!find_rules(state.program_counter - (is_return ? 1 : 0), rules, function)) return FrameStep::unknown;
  const Rule &counter = rules.registers[arch::return_address_column];
  if (counter.kind == Rule::undefined) return FrameStep::outermost;
  std::uintptr_t frame;
  if (rules.cfa_expression.at != nullptr) {
    if (!evaluate(rules.cfa_expression, state, frame)) return FrameStep::unknown;
  } else {
    if (!state.knows(rules.cfa_register)) return FrameStep::unknown;
    frame = state.registers[rules.cfa_register] + static_cast<std::uintptr_t>(rules.cfa_offset);
  }
  FrameState caller{};
  if (counter.kind != Rule::at_offset ||
      !read_word(frame + static_cast<std::uintptr_t>(counter.operand), caller.program_counter)) {
    return FrameStep::unknown;
  }
  for (unsigned number = 0; number < register_count; number++) {
    const Rule &rule = rules.registers[number];
    std::uintptr_t value = 0;
    bool is_known = false;
    if (number == arch::stack_pointer_column) {
      is_known = true;
      value = frame;
    } else if (rule.kind == Rule::at_offset) {
      is_known = read_word(frame + static_cast<std::uintptr_t>(rule.operand), value);
    } else if (rule.kind == Rule::is_offset) {
      is_known = true;
      value = frame + static_cast<std::uintptr_t>(rule.operand);
    } else if (rule.kind == Rule::same && (arch::callee_saved_columns >> number & 1) != 0) {
      is_known = state.knows(number);
      value = state.registers[number];
    }
    caller.registers[number] = value;
    if (is_known) caller.known |= std::uint32_t{1} << number;
  }
  state = caller;
  return FrameStep::caller;
}

} // namespace hot_fix
