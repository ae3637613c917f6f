// One entry that a transaction changes: what stands there, and what is to stand there. How the bytes get there under
// running threads is store_entries.h or, where that is not possible, trap_entries.h.
#pragma once

#include "function_table.h"

namespace hot_fix {

struct EntryWrite {
  Function *function;
  Version *to;
  Form into;            // decided by the way of writing
  unsigned breakpoints; // bit i: a debugger's breakpoint lies over byte i of the entry's five

  std::uintptr_t address() const { return function->trampoline(); }
  /** Whether no thread can be behind the first byte. */
  bool is_empty_inside() const {
    return function->form == Form::original ? !function->has_boundary_inside() : function->is_left;
  }
  bool is_in_reach() const { return arch::in_reach(address(), to->address); }

  /** Takes down that it is done. */
  void settle(Method method) {
    if (into == Form::original) {
      function->is_left = false;
    } else if (into == Form::direct || is_empty_inside()) {
      function->is_left = true;
    }
    function->form = into;
    function->method = method;
  }
};

} // namespace hot_fix
