#pragma once

#include "cli/cli.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

/// Options of several subcommands.
namespace autoexec::cli {

inline constexpr std::size_t max_retries = 1000;

/// Zero is refused unless it has a meaning.
CLI::Option* add_duration(CLI::App& app, const std::string& name,
                          std::optional<std::chrono::milliseconds>& value, const std::string& help,
                          bool may_be_zero = false);
/// A whole number from 0 to `max`.
CLI::Option* add_count(CLI::App& app, const std::string& name, std::size_t max,
                       std::function<void(std::size_t)> set, const std::string& help);
/// An option, or an argument, whose value is one of these words.
CLI::Option* add_choice(CLI::App& app, const std::string& names, std::vector<std::string> words,
                        std::function<void(const std::string& word)> set, const std::string& help);
/// An amount from 0 to 1000000 USD.
void add_usd(CLI::App& app, const char* name, std::optional<double>& value, const char* help);
/// An option that may be repeated, with one value each time.
CLI::Option* add_list(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                      const std::string& type, const std::string& help);
void add_limit(CLI::App& app, std::size_t& limit);
/// The id of an execution or attempt. `more`: what else it may be.
CLI::Option* add_execution(CLI::App& app, std::string& id, const std::string& more = {});
void add_project(CLI::App& app, CommonOptions& common);
void add_common(CLI::App& app, CommonOptions& common);
void add_max_parallel(CLI::App& app, SessionFlags& flags);
void add_session(CLI::App& app, SessionFlags& flags);

}  // namespace autoexec::cli
