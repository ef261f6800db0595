#pragma once

#include "async/short_names.hpp"
#include "autoexec/executor.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace autoexec::cli {

/// The words of `--notify PROGRAM`. A name with a slash is relative to the current folder, and made
/// absolute because the program runs in another one. Empty, with a `problem`, if there is no such
/// program.
std::vector<std::string> notify_words(const std::string& program, std::string& problem);

/// Runs the user's program for at most a minute, with a message on its standard input, which is
/// meanwhile a file of this name in `folder`. Returns the problem, or an empty string.
asio::awaitable<std::string> notify(std::shared_ptr<Spawner> spawner,
                                    std::vector<std::string> words, std::string name,
                                    boost::json::object message, std::filesystem::path folder);

}  // namespace autoexec::cli
