#pragma once

#include "autoexec/agent.hpp"
#include "autoexec/command.hpp"
#include "autoexec/workflow.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace autoexec::cli {

inline constexpr char no_agents_file_notice[] =
    "no agents file found; commands run with /bin/sh (create one with 'autoexec agents "
    "init')\n";

/// Decides which agent takes what, before anything runs: those of the project's agents file, or
/// the program's own one. That runs programs with their arguments, and with `/bin/sh` command texts
/// for `shell`, or for nobody by name where the project has no such file.
///
/// A name must be that of an agent of the file, of a role that the file declares, or `shell`. A
/// workflow's step may also name a role of the original system's workflows.
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

    /// The same for a step of a workflow: the agent that its name stands for; for a role that
    /// stands for none, and without a name, the one that is `preferred`, else the only one there
    /// is.
    std::string assign(const WorkflowStep& step, const std::string& preferred,
                       CommandRequest& request) const;

    /// What is wrong with a name that a step gives as its agent; empty: nothing.
    [[nodiscard]] std::string name_problem(const std::string& name) const;

    /// Whether that is the program's own one.
    [[nodiscard]] static bool is_own(const std::string& name);

    /// Those of the file and the own one.
    [[nodiscard]] AgentsFile all() const;

    /// How many steps an agent may have at once, where its file says so.
    [[nodiscard]] std::map<std::string, std::size_t, std::less<>> limits() const;

private:
    enum class Roles { declared, known };

    /// What a name stands for.
    struct Named {
        std::string agent;  ///< Empty: any.
        bool is_asked_for = false;
        std::string problem;
    };

    [[nodiscard]] Named resolve(const std::string& name, Roles roles) const;
    std::string hand_over(Named named, CommandRequest& request) const;
    std::string select(CommandRequest& request) const;
    [[nodiscard]] bool has(std::string_view name) const;
    [[nodiscard]] std::string unknown_name(const std::string& name) const;

    bool external_;
    LoadedAgents loaded_;
};

}  // namespace autoexec::cli
