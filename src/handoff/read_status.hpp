#pragma once

#include "autoexec/command.hpp"
#include "autoexec/mailbox.hpp"

namespace autoexec::handoff {

/// Reads the status files of a worktree and asks whether an agent holds a claim there.
StatusCheck read_status(Mailbox& mailbox);

}  // namespace autoexec::handoff
