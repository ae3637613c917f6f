// The published header's place: the runtime's public interface.
#include "../../include/hot_fix.h"
