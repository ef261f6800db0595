#pragma once

#include <functional>

namespace autoexec::test {

/// Runs `work` in a child process that is killed at its n-th system call. Returns false if it ended
/// before.
bool is_killed_at(int n, const std::function<void()>& work);

}  // namespace autoexec::test
