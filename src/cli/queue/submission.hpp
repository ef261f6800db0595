#pragma once

#include "autoexec/config.hpp"
#include "cli/cli.hpp"
#include "cli/session/jobs.hpp"
#include "protocol/queue_file.hpp"

#include <filesystem>
#include <string>
#include <vector>

/// `autoexec run --detach`
namespace autoexec::cli {

/// Why options cannot be combined with `--detach`.
std::vector<std::string> submission_problems(const SessionFlags& flags);

/// A command of this process as it is written to the queue.
protocol::QueuedRequest queued_request(CommandRequest request, const SessionFlags& flags);

/// Writes the commands to the queue, prints their ids, and makes sure that an engine lives. Nothing
/// is written if one of them cannot be run. `reuse`: new worktrees may exist. Throws `Failure`.
int submit_jobs(const SessionFlags& flags, bool reuse, bool as_json,
                const std::filesystem::path& root, const AutoExecutionConfig& config,
                std::vector<CommandJob> jobs);

}  // namespace autoexec::cli
