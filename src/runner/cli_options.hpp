#pragma once

#include "runner/cli.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

/// Options of several verbs.
namespace autoexec::runner {

/// What must be longer than nothing, unless zero has a meaning.
CLI::Option* add_duration(CLI::App& app, const std::string& name,
                          std::optional<std::chrono::milliseconds>& value, const std::string& help,
                          bool may_be_zero = false);
void add_project(CLI::App& app, CommonOptions& common);
void add_common(CLI::App& app, CommonOptions& common);
/// All but `--agent`, which is not the same to all.
void add_engine(CLI::App& app, EngineFlags& flags);

}  // namespace autoexec::runner
