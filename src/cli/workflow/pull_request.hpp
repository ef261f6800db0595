#pragma once

#include "workflow/journal/journal.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// Offers the work of a run to others.
namespace autoexec::cli {

/// What a program gets that creates a pull request.
struct PullRequest {
    std::string branch;  ///< With the work; it is pushed.
    std::string base;    ///< The branch to merge it into; empty: that of the remote.
    std::string remote;
    std::string title;  ///< One line that does not begin with `-`.
    std::string body;   ///< Markdown.
};

/// The words of the program: each of the configured ones, in which `{branch}`, `{base}`,
/// `{remote}`,
/// `{title}` and `{body}` are replaced by their values. A value stays within its word. Without a
/// base, words with `{base}` are left out. Pure.
std::vector<std::string> fill_words(const std::vector<std::string>& configured,
                                    const PullRequest& request);

/// The pull request of a run. A long `report` is cut at a line. Throws `Failure` if the run has no
/// branch to offer.
PullRequest pull_request_of(const workflow::RunRecord& run, std::string remote, std::string report);

/// Pushes the branch, and creates a pull request by the program of the setting
/// `pull_request.program`, which gets the body on its standard input. Prints what it prints. Throws
/// `Failure`.
void create_pull_request(const std::filesystem::path& root, const PullRequest& request);

}  // namespace autoexec::cli
