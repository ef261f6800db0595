#pragma once

#include "workflow/journal/journal.hpp"

#include <filesystem>
#include <string>
#include <string_view>

/// Offers the work of a run to others.
namespace autoexec::cli {

/// Pushes the branch of the run to `remote`, and creates a pull request by the program gh, with
/// `body` as its text. Prints what gh prints. Throws `Failure`.
void create_pull_request(const std::filesystem::path& root, const workflow::RunRecord& run,
                         const std::string& remote, std::string_view body);

}  // namespace autoexec::cli
