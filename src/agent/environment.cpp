#include "agent/environment.hpp"

#include "files/safe_files.hpp"
#include "process/run_program.hpp"
#include "protocol/trace_context.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace autoexec::agent {
namespace {

constexpr std::array<std::string_view, 14> allowed = {"PATH",
                                                      "HOME",
                                                      "USER",
                                                      "LOGNAME",
                                                      "SHELL",
                                                      "LANG",
                                                      "TZ",
                                                      "TMPDIR",
                                                      "XDG_CONFIG_HOME",
                                                      "XDG_CACHE_HOME",
                                                      "XDG_DATA_HOME",
                                                      "XDG_RUNTIME_DIR",
                                                      "SSH_AUTH_SOCK",
                                                      "LANGUAGE"};

std::string_view variable_name(std::string_view variable)
{
    return variable.substr(0, variable.find('='));
}

void unset(std::vector<std::string>& environment, std::string_view name)
{
    std::erase_if(environment,
                  [&](const auto& variable) { return variable_name(variable) == name; });
}

void set(std::vector<std::string>& environment, std::string_view name, std::string_view value)
{
    unset(environment, name);
    environment.push_back(std::string(name).append("=").append(value));
}

void keep_allowed(std::vector<std::string>& environment)
{
    std::erase_if(environment, [](const auto& variable) {
        const auto name = variable_name(variable);
        return !name.starts_with("LC_") &&
               std::find(allowed.begin(), allowed.end(), name) == allowed.end();
    });
}

}  // namespace

std::string make_environment(const AgentDefinition& definition,
                             const protocol::CommandFile& command,
                             const std::filesystem::path& worktree,
                             std::vector<std::string>& environment)
{
    environment = process::inherited_environment();
    if (definition.clean_environment) keep_allowed(environment);
    // The program has no terminal, even if this process has one.
    set(environment, "TERM", "dumb");
    set(environment, "NO_COLOR", "1");
    if (!command.attempt_id.empty()) {
        set(environment, "TRACEPARENT", protocol::traceparent_of(command));
        unset(environment, "TRACESTATE");  // of the caller's trace
    }
    for (const auto& name : command.env_refs) {
        const char* const value = std::getenv(name.c_str());
        if (value == nullptr) return name;
        set(environment, name, value);
    }
    // An agent may run inside a command of another agent.
    for (const auto* name :
         {"AUTOEXEC_EXECUTION_ID", "AUTOEXEC_ATTEMPT_ID", "AUTOEXEC_ATTEMPT", "AUTOEXEC_RUN_ID",
          "AUTOEXEC_WORKFLOW_ID", "AUTOEXEC_STEP_ID", "AUTOEXEC_ROUND", "AUTOEXEC_FEEDBACK"})
        unset(environment, name);
    for (const auto& [name, value] : command.env) set(environment, name, value);
    for (const auto& [name, value] : definition.environment) set(environment, name, value);
    if (!command.attempt_id.empty()) {
        set(environment, "AUTOEXEC_EXECUTION_ID", command.execution_id);
        set(environment, "AUTOEXEC_ATTEMPT_ID", command.attempt_id);
        set(environment, "AUTOEXEC_ATTEMPT", std::to_string(command.attempt));
    }
    set(environment, "AUTOEXEC_WORKTREE", worktree.string());
    return {};
}

std::string_view without_project_root(std::string_view directory)
{
    constexpr std::string_view variable = "${PROJECT_ROOT}";
    if (!directory.starts_with(variable)) return directory;
    directory.remove_prefix(variable.size());
    return directory.substr(std::min(directory.size(), directory.find_first_not_of('/')));
}

std::filesystem::path working_directory(const AgentDefinition& definition,
                                        const std::filesystem::path& worktree)
{
    const auto wanted = without_project_root(definition.working_directory);
    return wanted.empty() ? worktree : worktree / wanted;
}

std::string working_directory_problem(const AgentDefinition& definition,
                                      const std::filesystem::path& worktree)
{
    const auto relative = working_directory(definition, worktree).lexically_relative(worktree);
    if (std::filesystem::path(definition.working_directory).is_absolute() || relative == ".")
        return {};
    const files::UniqueFd tree(::open(worktree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    error_code ec = tree ? error_code{} : files::last_error();
    if (!ec)
        (void)files::open_beneath(tree.get(), relative.string(), O_PATH | O_DIRECTORY,
                                  files::Links::inside, ec);
    if (!ec) return {};
    const bool leads_out = ec.value() == EXDEV || ec.value() == ELOOP;
    return fmt::format("The working_directory '{}' of the agent '{}' cannot be used in {}: {}.",
                       text::printable(definition.working_directory),
                       text::printable(definition.name), text::printable(worktree.string()),
                       leads_out
                           ? "a symbolic link leads out of the worktree; use an absolute path "
                             "if that is intended"
                           : ec.message());
}

}  // namespace autoexec::agent
