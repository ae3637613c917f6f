// What code inside somebody else's process must never do. Included last in every source file, so that a use of one
// of these names does not compile.
#pragma once

#pragma GCC poison exit _exit _Exit quick_exit abort assert err errx verr verrx perror puts printf
