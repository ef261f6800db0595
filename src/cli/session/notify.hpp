#pragma once

#include "autoexec/executor.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace autoexec::cli {

/// The words of `--notify PROGRAM`. A program with a slash in its name counts from the current
/// folder and becomes absolute, since it is run in another one. Empty with a `problem` where there
/// is no such program.
std::vector<std::string> notify_words(const std::string& program, std::string& problem);

/// Runs the user's program with a result as JSON on its standard input; at most a minute.
/// Returns what went wrong, or nothing.
asio::awaitable<std::string> notify(std::shared_ptr<Spawner> spawner,
                                    std::vector<std::string> words, ExecutionResult result,
                                    std::filesystem::path folder);

}  // namespace autoexec::cli
