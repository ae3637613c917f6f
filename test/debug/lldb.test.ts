// Real lldb and our patches in the same process; also with code of clang, whose debug information names addresses by
// their number in a table.
import { lldb } from './debugger';
import { describeBreakpoints, describeOtherStops } from './scenarios';

for (const options of [
  { flags: ['-O0', '-g'] },
  { flags: ['-O2', '-g'] },
  { flags: ['-O0', '-g'], compiler: 'clang++' },
])
  describeBreakpoints(lldb, options);
describeOtherStops(lldb);
