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

inline constexpr char init_hint[] = "Create one with 'autoexec agents init'.\n";

/// Assigns agents to commands before anything runs: agents of the project's agents file, or the
/// built-in one. The built-in agent runs programs with their arguments. It runs command texts with
/// `/bin/sh` if they are for `shell`, or if they name no agent and the project has no agents file.
///
/// A name must be an agent or a role of the file, or `shell`. A step of a workflow may also name a
/// role of the original system's workflows.
class Agents {
public:
    /// `external`: agents of another process run the commands. `read`: a command needs the agents
    /// file. `default_agent`: the setting `agents.default`.
    Agents(const std::filesystem::path& root, bool external, bool read,
           std::string default_agent = {});

    /// False if the file is invalid.
    [[nodiscard]] bool usable() const { return loaded_.errors.empty() || loaded_.missing; }
    /// Prints the problems of the file, the warnings unless `quiet`. Throws `Failure` if it is
    /// invalid.
    void require_usable(bool quiet) const;
    [[nodiscard]] const LoadedAgents& loaded() const { return loaded_; }
    [[nodiscard]] bool runs_texts_with_shell() const { return !external_ && loaded_.missing; }

    /// Sets the agent of a request, unless that is the built-in one; returns a problem if there is
    /// none.
    std::string assign(CommandRequest& request) const;

    /// The same for a step of a workflow. If it names no agent, or a role without one, the
    /// `preferred` agent runs it, else the only agent.
    std::string assign(const WorkflowStep& step, const std::string& preferred,
                       CommandRequest& request) const;

    /// The agent that a name means; empty, with a problem: none.
    [[nodiscard]] std::string agent_called(const std::string& name, std::string& problem) const;

    /// The problem with the agent's name in a step; empty: none.
    [[nodiscard]] std::string name_problem(const std::string& name) const;

    /// Whether this is the built-in agent.
    [[nodiscard]] static bool is_built_in(const std::string& name);

    /// The agents of the file and the built-in one.
    [[nodiscard]] AgentsFile all() const;

    /// The maximum number of steps at once of each agent that has one in the file.
    [[nodiscard]] std::map<std::string, std::size_t, std::less<>> limits() const;

private:
    enum class Roles { declared, known };

    /// What a name resolves to.
    struct Named {
        std::string agent;  ///< Empty: any.
        bool is_required = false;
        std::string problem;
    };

    [[nodiscard]] Named resolve(const std::string& name, Roles roles) const;
    std::string assign_named(Named named, CommandRequest& request) const;
    std::string require_model(CommandRequest& request) const;
    std::string select(CommandRequest& request) const;
    [[nodiscard]] bool has(std::string_view name) const;
    [[nodiscard]] std::string unknown_name(const std::string& name) const;

    bool external_;
    std::string default_agent_;
    LoadedAgents loaded_;
};

}  // namespace autoexec::cli
