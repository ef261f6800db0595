#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <string>

namespace autoexec::inline v1 {

using boost::system::error_code;
using boost::system::system_error;

/// Failures of the executor itself. How a command ended is a value: see `ExecutionStatus`.
enum class errc {
    /// The command or its program (`argv[0]`) is empty, or contains a NUL character.
    invalid_command = 1,
    /// The command file would be larger than agents read (1 MiB).
    command_too_large,
    /// An option, or a value of a request, is out of its range; the error's text names it.
    invalid_options,
    /// The worktree does not exist or is not a directory.
    invalid_worktree,
    /// The worktree cannot be written to.
    worktree_not_writable,
    /// Another executor runs a command in this worktree.
    worktree_busy,
    /// An agent that was asked to stop has not confirmed it yet.
    worktree_busy_unconfirmed,
    /// An expected artifact is outside the worktree.
    artifact_outside_worktree,
    /// The command text contains a secret and `secrets_in_command` is `refuse`.
    secret_in_command,
    /// The executor was stopped, or is being stopped.
    stopped,
    /// A path is not what it must be: a link, a device, or another user's file.
    unsafe_path,
    /// A file is larger than its limit.
    file_too_large,
    /// The agents file, or an agent that an application made, is invalid.
    invalid_agents_file,
    /// The program that supervises commands is missing or does not start.
    supervisor_unavailable,
    /// A record could not be written in time; it is kept, and writing it is retried.
    records_delayed,
    /// The configuration is invalid.
    invalid_configuration,
    /// The workflow cannot run.
    invalid_workflow,
    /// The system is out of descriptors, processes or memory; a retry may succeed.
    no_resources,
    /// The journal of a run was removed, replaced or truncated while the run wrote to it.
    journal_lost,
};

/// Category `"autoexec"`; `message()` gives one full English sentence per code.
const boost::system::error_category& autoexec_category() noexcept;

/// Converts a value of `errc`; Boost calls it.
error_code make_error_code(errc e) noexcept;

}  // namespace autoexec::inline v1

template <>
struct boost::system::is_error_code_enum<autoexec::errc> : std::true_type {};
