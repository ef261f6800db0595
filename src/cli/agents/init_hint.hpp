#pragma once

namespace autoexec::cli {

inline constexpr char init_hint[] = "Create one with 'autoexec agents init'.\n";

}  // namespace autoexec::cli
