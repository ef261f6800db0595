#pragma once

#include "async/short_names.hpp"
#include "autoexec/ports.hpp"
#include "autoexec/testing/virtual_clock.hpp"

namespace autoexec::test {

using testing::VirtualClock;

}  // namespace autoexec::test
