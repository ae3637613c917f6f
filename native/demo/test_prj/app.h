// What main.cc calls and fix_patch.cc replaces.
#pragma once

void fix_func();
