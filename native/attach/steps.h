// The names of the steps, for tests that end this program or the process at each of them. Costs nothing otherwise.
#pragma once

namespace hot_fix {

enum class Step { looked, seized, stopped, settled, called, mapped, written, entered, finished, restored, released, waited };

/** Ends this program (`--end-at NAME`) or the process (`--end-process-at NAME`) if that was asked for here. */
void reached(Step step, int pid);

/** False when no step has that name. */
bool end_at(const char *name, bool process);

} // namespace hot_fix
