#pragma once

#include "autoexec/agents_file.hpp"

#include <span>
#include <string>
#include <string_view>

/// How well-known agent programs are called where no person is. Data: to add one, add a row, and
/// its line in `doc/agents.md`.
namespace autoexec::agent {

/// The day on which the calls were last compared with the programs' documentation.
inline constexpr std::string_view presets_written = "2026-11-22";

struct Preset {
    std::string_view name;
    std::string_view description;
    std::string_view command;  ///< A value that begins with `-` must arrive as a value.
    OutcomeRule outcome = OutcomeRule::exit_code;
    bool accept_argv = false;
    std::string_view notes;  ///< What a person should know; lines.
};

[[nodiscard]] std::span<const Preset> presets();

/// Null if there is none of that name.
[[nodiscard]] const Preset* find_preset(std::string_view name);

enum class Comments { none, all };

/// An agents file with one agent for each.
[[nodiscard]] std::string agents_file_text(std::span<const Preset> chosen, Comments comments);

}  // namespace autoexec::agent
