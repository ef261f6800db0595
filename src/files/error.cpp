#include "autoexec/error.hpp"

namespace autoexec::inline v1 {
namespace {

class Category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "autoexec"; }

    std::string message(int code) const override
    {
        switch (static_cast<errc>(code)) {
            case errc::invalid_command:
                return "The command or its program is empty, or contains a NUL character.";
            case errc::command_too_large:
                return "The command file would exceed the limit of agents (256 KiB).";
            case errc::invalid_options:
                return "An option is out of range.";
            case errc::invalid_worktree:
                return "The worktree does not exist or is not a directory.";
            case errc::worktree_not_writable:
                return "The worktree is not writable.";
            case errc::worktree_busy:
                return "Another executor is running a command in this worktree.";
            case errc::worktree_busy_unconfirmed:
                return "An agent that was asked to stop has not confirmed it yet.";
            case errc::artifact_outside_worktree:
                return "An expected artifact is outside the worktree.";
            case errc::secret_in_command:
                return "The command text contains a secret.";
            case errc::stopped:
                return "The executor was stopped.";
            case errc::unsafe_path:
                return "A path is a link, a device, or another user's file.";
            case errc::file_too_large:
                return "A file is larger than its limit.";
            case errc::invalid_agents_file:
                return "The agents file is invalid.";
            case errc::supervisor_unavailable:
                return "The supervisor program is missing or does not start.";
            case errc::records_delayed:
                return "A record could not be written in time; it is kept and retried.";
            case errc::invalid_workflow:
                return "The workflow cannot run.";
            case errc::no_resources:
                return "The system is out of file descriptors, processes or memory.";
            case errc::journal_lost:
                return "The journal was removed, replaced or truncated during the run.";
            case errc::invalid_configuration:
                return "The configuration is invalid.";
        }
        return "Unknown autoexec error.";
    }
};

}  // namespace

const boost::system::error_category& autoexec_category() noexcept
{
    static const Category instance;
    return instance;
}

error_code make_error_code(errc e) noexcept
{
    return {static_cast<int>(e), autoexec_category()};
}

}  // namespace autoexec::inline v1
