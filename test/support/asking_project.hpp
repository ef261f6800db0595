#pragma once

#include "support/project.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace autoexec::test {

/// A project whose agent speaks the Agent Client Protocol, and asks for permission once.
struct AskingProject : Project {
    AskingProject();

    /// Waits until a command asks; returns its execution id.
    [[nodiscard]] std::string wait_for_question() const;

    /// The words that allow what it asks.
    [[nodiscard]] Words allowing(const std::string& id) const;

    /// How many events of a type the audit log has.
    [[nodiscard]] std::size_t count(std::string_view event_type) const;

    fs::path tree = worktree("tree");
};

}  // namespace autoexec::test
