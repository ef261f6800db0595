#pragma once

#include <string>
#include <string_view>

/// Prints what git has compared.
namespace autoexec::cli {

/// A patch for a terminal: without control characters of the files, and in colours if `colored`.
/// Pure.
std::string patch_for_terminal(std::string_view patch, bool colored);

/// Prints it: on a terminal through the pager of the user (`GIT_PAGER`, `core.pager` of the user's
/// own configuration of git, `PAGER`, or less), unless `pager` is empty; elsewhere as it is, so
/// that `git apply` reads it, unless `--color always` is given.
void print_patch(std::string_view patch, const std::string& pager);

}  // namespace autoexec::cli
