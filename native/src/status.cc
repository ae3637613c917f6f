// The documents that the runtime writes.
#include "status.h"

#include "control_directory.h"
#include "function_table.h"
#include "hot_fix.h"
#include "json.h"
#include "migration_table.h"
#include "process.h"
#include "stack_scan.h"

#include <algorithm>
#include <cstdio>
#include <sys/mman.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr int protocol_version = 1;

const char *text_of(Patch::State state) {
  switch (state) {
  case Patch::live:
    return "live";
  case Patch::superseded:
    return "superseded";
  case Patch::unmapped:
    return "unmapped";
  }
  return "";
}

const char *text_of(Form form) {
  switch (form) {
  case Form::original:
    return "none";
  case Form::island:
    return "jmp-rel32+island";
  case Form::direct:
    return "jmp-rel32";
  }
  return "";
}

const char *text_of(Method method) {
  switch (method) {
  case Method::store:
    return "store";
  case Method::int3:
    return "int3";
  case Method::spin:
    return "spin";
  case Method::parked:
    return "parked";
  }
  return "";
}

void protection_text(int protection, char (&text)[64]) {
  std::snprintf(text, sizeof text, "%s%s%s", (protection & PROT_READ) != 0 ? "|PROT_READ" : "",
                (protection & PROT_WRITE) != 0 ? "|PROT_WRITE" : "", (protection & PROT_EXEC) != 0 ? "|PROT_EXEC" : "");
  if (text[0] == '\0') std::strcpy(text, "|PROT_NONE");
}

void describe_patch(JsonWriter &json, const Patch &patch) {
  json.begin_object();
  json.number("id", patch.id);
  json.text("file", patch.file);
  json.address("base", patch.base);
  json.number("length", static_cast<std::int64_t>(patch.length));
  json.text("kind", patch.kind == Patch::generated ? "generated" : "fix_table");
  json.text("module", patch.module);
  json.text("state", text_of(patch.state));
  json.number("loadedAt", static_cast<std::int64_t>(patch.loaded_at));
  json.number("activeThreads", patch.active_threads);
  json.end_object();
}

void describe_version(JsonWriter &json, const Version &version) {
  json.begin_object();
  json.number("version", version.number);
  if (version.patch != nullptr) {
    json.number("patch", version.patch->id);
  } else {
    json.null("patch");
  }
  json.address("address", version.address);
  json.number("size", static_cast<std::int64_t>(version.size));
  json.number("activeThreads", version.active_threads);
  json.end_object();
}

void describe_page(JsonWriter &json, const PageRecord &page) {
  json.begin_object();
  json.address("start", page.start);
  json.number("length", arch::page_size);
  json.text("through", page.through_memory_file ? "/proc/self/mem" : "mprotect");
  json.begin_array("calls");
  for (unsigned i = 0; i < page.call_count; i++) {
    char protection[64];
    protection_text(page.calls[i].protection, protection);
    json.begin_object();
    json.text("protection", protection + 1);
    json.number("result", page.calls[i].result);
    json.number("errno", page.calls[i].error_number);
    json.end_object();
  }
  json.end_array();
  json.end_object();
}

/** Whether the bytes are the same, but for a debugger's breakpoints. */
bool is_as_meant(const std::uint8_t (&live)[arch::jump_length], const std::uint8_t (&meant)[arch::jump_length]) {
  return std::equal(live, live + sizeof live, meant, [](std::uint8_t is, std::uint8_t should_be) {
    return is == should_be || (is == arch::breakpoint && tracer() != 0);
  });
}

void describe_function(JsonWriter &json, const Function &function) {
  const Version &current = *function.current;
  std::uint8_t meant[arch::jump_length], live[arch::jump_length] = {};
  function.entry_bytes(function.form, current, meant);
  const bool readable = read_memory(function.trampoline(), live, sizeof live) == sizeof live;
  const bool leads_there = function.form != Form::island || function.island->slot->load() == current.address;

  json.begin_object();
  json.text("symbol", function.symbol);
  json.address("address", function.entry);
  json.text("module", function.module);
  json.number("version", current.number);
  json.begin_array("versions");
  for (const Version *version = &function.versions; version != nullptr; version = version->next) {
    describe_version(json, *version);
  }
  json.end_array();
  json.begin_object("trampoline");
  json.address("address", function.trampoline());
  json.text("kind", text_of(function.form));
  json.text("method", text_of(function.method));
  json.bytes("bytesBefore", function.original + function.jump_offset, arch::jump_length);
  json.bytes("bytesAfter", live, sizeof live);
  json.address("target", current.address);
  json.end_object();
  json.begin_array("pages");
  for (unsigned i = 0; i < function.page_count; i++) describe_page(json, function.pages[i]);
  json.end_array();
  json.number("activeThreads", function.active_threads);
  json.boolean("verified", readable && leads_there && is_as_meant(live, meant));
  json.end_object();
}

void executable_path(char (&path)[4096]) {
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  path[length > 0 ? length : 0] = '\0';
}

} // namespace

bool describe_process(int signal, int worker_tid, bool asleep, Buffer &buffer) {
  char executable[4096], name_space[64];
  executable_path(executable);
  pid_namespace(name_space);
  JsonWriter json(buffer);
  json.begin_object();
  json.number("protocol", protocol_version);
  json.text("version", HOT_FIX_VERSION);
  json.number("pid", getpid());
  json.number("uid", static_cast<std::int64_t>(geteuid()));
  json.number("startTime", static_cast<std::int64_t>(start_time(getpid())));
  json.text("exe", executable);
  json.number("signal", signal);
  json.number("workerTid", worker_tid);
  json.text("architecture", arch::name);
  json.text("pidNamespace", name_space);
  if (asleep) json.boolean("asleep", true);
  if (passed_over_directory()[0] != '\0') json.text("passedOver", passed_over_directory());
  json.end_object();
  return json.complete();
}

bool describe_status(std::uint64_t sequence, Buffer &buffer) {
  JsonWriter json(buffer);
  json.begin_object();
  json.number("protocol", protocol_version);
  json.number("pid", getpid());
  json.number("sequence", static_cast<std::int64_t>(sequence));
  json.begin_array("patches");
  for (const Patch *patch : all_patches()) describe_patch(json, *patch);
  json.end_array();
  json.begin_array("functions");
  for (const Function *function : all_functions()) {
    if (function->listed) describe_function(json, *function);
  }
  json.end_array();
  json.begin_array("layouts");
  for (const LiveLayout *layout : live_layouts()) {
    if (layout->layout[0] == '\0') continue;
    json.begin_object();
    json.text("type", layout->type);
    json.text("layout", layout->layout);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  return json.complete();
}

bool describe_answer(const char *id, const Failure *failure, const Report &report, const Buffer &status, Buffer &buffer) {
  const Timings &timings = report.timings;
  JsonWriter json(buffer);
  json.begin_object();
  json.text("id", id);
  json.boolean("ok", failure == nullptr);
  if (failure == nullptr) {
    json.null("error");
  } else {
    json.begin_object("error");
    json.text("code", code_text(failure->code));
    json.text("message", failure->message);
    if (failure->symbol[0] != '\0') {
      json.text("symbol", failure->symbol);
    } else {
      json.null("symbol");
    }
    if (failure->error_number != 0) {
      json.number("errno", failure->error_number);
    } else {
      json.null("errno");
    }
    json.end_object();
  }
  json.begin_array("warnings");
  for (const Failure &warning : report.warnings) {
    json.begin_object();
    json.text("code", code_text(warning.code));
    json.text("message", warning.message);
    json.end_object();
  }
  json.end_array();
  json.begin_array("migrated");
  for (const MigratedType &type : report.migrated) {
    json.begin_object();
    json.text("type", type.type);
    json.number("objects", static_cast<std::int64_t>(type.objects));
    json.end_object();
  }
  json.end_array();
  json.begin_object("timings");
  json.number("read", static_cast<std::int64_t>(timings.read));
  json.number("load", static_cast<std::int64_t>(timings.load));
  json.number("relocate", static_cast<std::int64_t>(timings.relocate));
  json.number("write", static_cast<std::int64_t>(timings.write));
  json.number("total", static_cast<std::int64_t>(timings.total));
  json.end_object();
  json.document("status", status);
  json.end_object();
  return json.complete();
}

bool count_active_threads(std::uint64_t patience) {
  List<CodeRange> ranges;
  bool complete = true;
  const auto add = [&](std::uintptr_t start, std::uintptr_t end, unsigned &count) {
    if (end > start) complete = ranges.add({start, end, &count, 0, 0, false, false}) && complete;
  };
  for (Function *function : all_functions()) {
    if (!function->listed) continue;
    for (Version *version = &function->versions; version != nullptr; version = version->next) {
      if (version->patch != nullptr && version->patch->state == Patch::unmapped) continue;
      // Of the original, what is behind the trampoline: at the trampoline itself a thread is on its way to the new.
      const std::uintptr_t start = version->patch == nullptr ? function->trampoline() + 1 : version->address;
      add(start, version->address + version->size, version->active_threads);
    }
  }
  for (Patch *patch : all_patches()) {
    if (patch->state != Patch::unmapped) add(patch->code_start, patch->code_end, patch->active_threads);
  }
  if (!complete || (!ranges.empty() && !scan_stacks(ranges, patience))) return false;

  for (Patch *patch : all_patches()) patch->active_threads = 0;
  for (Function *function : all_functions()) {
    for (Version *version = &function->versions; version != nullptr; version = version->next) {
      version->active_threads = 0;
    }
  }
  for (const CodeRange &range : ranges) *static_cast<unsigned *>(range.owner) = range.hits;
  for (Function *function : all_functions()) {
    function->active_threads = 0;
    for (Version *version = &function->versions; version != nullptr; version = version->next) {
      if (version != function->current) function->active_threads += version->active_threads;
    }
  }
  return true;
}

} // namespace hot_fix
