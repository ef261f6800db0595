#pragma once

#include "autoexec/agents_file.hpp"

#include <span>
#include <string>
#include <string_view>

/// How to call well-known agent programs unattended. To add one, add a row, and describe it in
/// `doc/agents.md`. `autoexec health` runs these programs with `--version`.
namespace autoexec::agent {

/// The date of the last comparison of the calls with the programs' documentation.
inline constexpr std::string_view presets_written = "2026-11-22";

struct Preset {
    std::string_view name;
    std::string_view description;
    std::string_view
        command;  ///< Ensures that a value that begins with `-` is not taken for an option.
    OutcomeRule outcome = OutcomeRule::exit_code;
    bool accept_argv = false;
    std::string_view notes;  ///< Notes for the user, in lines.
};

[[nodiscard]] std::span<const Preset> presets();

/// Returns null if the name is unknown.
[[nodiscard]] const Preset* find_preset(std::string_view name);

enum class Comments { none, all };

/// An agents file with one agent for each preset.
[[nodiscard]] std::string agents_file_text(std::span<const Preset> chosen, Comments comments);

}  // namespace autoexec::agent
