#pragma once

#include "autoexec/command.hpp"
#include "cli/cli.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::cli {

/// One command to run; its worktree may have to be made first.
struct Job {
    explicit Job(CommandRequest r) : request(std::move(r)) {}

    CommandRequest request;
    std::string new_worktree;  ///< NAME[@REF]; empty: `request.worktree` exists.
};

/// What the options ask for. Sentences for a person go to `problems`, all at once.
std::vector<Job> collect_jobs(const RunOptions& options, std::vector<std::string>& problems);

/// Pure: the lines of a list. Empty lines are skipped.
std::vector<Job> parse_job_list(std::string_view text, const RunOptions& defaults,
                                std::vector<std::string>& problems);

}  // namespace autoexec::cli
