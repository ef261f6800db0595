#pragma once

#include "autoexec/agent.hpp"
#include "programs/known_programs.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// Creates the agents file of a project.
namespace autoexec::cli {

using Programs = std::vector<const programs::KnownProgram*>;

std::vector<std::string_view> preset_names();

/// The presets of these names without repetitions; `shell` if there are none. Throws `Failure` for
/// an unknown name.
Programs choose_presets(const std::vector<std::string>& wanted);

/// The presets whose programs are installed; the shell only if no other is.
Programs detect_presets(const std::filesystem::path& root);

[[nodiscard]] std::filesystem::path agents_file_of(const std::filesystem::path& root);

/// Throws `Failure` if it exists, unless `overwrite`.
void write_agents_file(const std::filesystem::path& root, const std::string& text, bool overwrite);

/// Prints which programs of the agents are not installed.
void warn_of_missing_programs(const AgentsFile& file, const std::filesystem::path& root);

}  // namespace autoexec::cli
