#pragma once

#include "autoexec/executor.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <memory>
#include <string>

namespace autoexec::runner {

/// Runs the user's program with a result as JSON on its standard input; at most a minute.
/// Returns what went wrong, or nothing.
asio::awaitable<std::string> notify(std::shared_ptr<Spawner> spawner, std::string program,
                                    ExecutionResult result, std::filesystem::path folder);

}  // namespace autoexec::runner
