#pragma once

#include <filesystem>
#include <string>
#include <string_view>

/// Creates a workflow file to begin with.
namespace autoexec::cli {

/// The first agent of the project's agents file that accepts commands and is no shell; empty: none.
std::string coding_agent_of(const std::filesystem::path& root);

/// A valid workflow named after its file. Without an agent, a program is its first step. `test`:
/// the words of the program that tests the project. Pure.
std::string new_workflow_text(const std::filesystem::path& file, std::string_view agent,
                              std::string_view test);

/// The program that tests the project, as a list in YAML, by the files in its folder.
std::string test_program_of(const std::filesystem::path& root);

/// Throws `Failure` if it cannot be the name of a file.
void check_workflow_name(const std::filesystem::path& file);

/// Writes a new file, and its folders. Throws `Failure` if it exists, unless `overwrite`.
void write_workflow(const std::filesystem::path& file, std::string_view text, bool overwrite);

}  // namespace autoexec::cli
