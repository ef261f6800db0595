#pragma once

#include "cli/cli.hpp"
#include "protocol/pause_file.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

/// What `autoexec pause` and `autoexec resume` share.
namespace autoexec::cli {

struct PauseOptions : CommonOptions {
    std::string agent;
    std::string workflow;
};

void define_pause_options(CLI::App& app, PauseOptions& options);

/// Starts of which commands.
struct PauseScope {
    std::string kind;  ///< `agent` or `workflow`; empty: of all.
    std::string name;
};

/// `must_exist`: throws `Failure` if there is no such agent.
PauseScope pause_scope(const PauseOptions& options, const std::filesystem::path& root,
                       bool must_exist);

/// Changes the pause of these starts; nullopt: they are not paused. Throws `Failure` if that cannot
/// be written.
void change_pause(const std::filesystem::path& root, const PauseScope& scope,
                  const std::function<void(std::optional<protocol::Pause>&)>& change);

void print_pause_state(const PauseScope& scope, bool as_json, std::string_view state,
                       std::string sentence);

}  // namespace autoexec::cli
