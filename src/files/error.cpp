#include "autoexec/error.hpp"

#include <cstddef>
#include <iterator>

namespace autoexec::inline v1 {
namespace {

/// In the order of `errc`, from 1.
constexpr const char* messages[] = {
    "The command or its program is empty, or contains a NUL character.",
    "The command file would exceed the limit of agents (1 MiB).",
    "An option is out of range.",
    "The worktree does not exist or is not a directory.",
    "The worktree is not writable.",
    "Another executor is running a command in this worktree.",
    "An agent that was asked to stop has not confirmed it yet.",
    "An expected artifact is outside the worktree.",
    "The command text contains a secret.",
    "The executor was stopped.",
    "A path is a link, a device, or another user's file.",
    "A file is larger than its limit.",
    "The agents file is invalid.",
    "The supervisor program is missing or does not start.",
    "A record could not be written in time; it is kept and retried.",
    "The configuration is invalid.",
    "The workflow cannot run.",
    "The system is out of file descriptors, processes or memory.",
    "The journal was removed, replaced or truncated during the run.",
};
static_assert(std::size(messages) == static_cast<std::size_t>(errc::journal_lost));

class Category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "autoexec"; }

    std::string message(int code) const override
    {
        const auto index = static_cast<std::size_t>(code) - 1;
        if (index < std::size(messages)) return messages[index];
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
