#pragma once

#include "autoexec/agent.hpp"
#include "autoexec/command.hpp"
#include "autoexec/workflow.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>

namespace autoexec::runner {

/// Decides which agent takes what, before anything runs: those of the project's agents file, or
/// the program's own one. That runs programs with their arguments, and command texts with
/// `/bin/sh` where the project has no such file.
class Agents {
public:
    /// `read`: some command needs the agents file. `external`: agents of another process take the
    /// commands.
    Agents(const std::filesystem::path& root, bool external, bool read);

    /// False when a command text needs a file that is invalid.
    [[nodiscard]] bool usable() const { return loaded_.errors.empty() || loaded_.missing; }
    [[nodiscard]] const LoadedAgents& loaded() const { return loaded_; }
    [[nodiscard]] bool own_runs_texts() const { return !external_ && loaded_.missing; }

    /// Names the agent for a request; returns a sentence if there is none.
    std::string assign(CommandRequest& request) const;

    /// The same for a step of a workflow: an agent that is called as the step's, else the one
    /// that is `preferred`, else the only one there is.
    std::string assign(const WorkflowStep& step, const std::string& preferred,
                       CommandRequest& request) const;

    /// Whether that is the program's own one.
    [[nodiscard]] static bool is_own(const std::string& name);

    /// Those of the file and the own one.
    [[nodiscard]] AgentsFile all() const;

    /// How many steps an agent may have at once, where its file says so.
    [[nodiscard]] std::map<std::string, std::size_t, std::less<>> limits() const;

private:
    [[nodiscard]] bool knows(const std::string& name) const;
    std::string select(CommandRequest& request) const;

    bool external_;
    LoadedAgents loaded_;
};

}  // namespace autoexec::runner
