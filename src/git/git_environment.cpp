#include "git/git_environment.hpp"

#include "process/run_program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

namespace autoexec::git {
namespace {

// Configuration of a user, agent or template must neither stop a call nor start a program. Ref
// locks get a timeout, because agents and people use git at the same time.
constexpr std::array<std::string_view, 36> settings = {
    "core.filesRefLockTimeout=15000",
    "core.packedRefsTimeout=15000",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.editor=true",
    "core.pager=cat",
    "core.askPass=false",
    "core.alternateRefsCommand=true",
    "core.safecrlf=false",
    "core.splitIndex=false",
    "core.quotePath=false",
    "sequence.editor=true",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "log.showSignature=false",
    "gpg.program=false",
    "gpg.ssh.program=false",
    "gpg.x509.program=false",
    "gpg.ssh.defaultKeyCommand=false",
    "diff.external=false",
    "interactive.diffFilter=false",
    "protocol.ext.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    // Compares the HEAD of a nested repository by reading it, without starting git there.
    "diff.ignoreSubmodules=dirty",
    "diff.submodule=short",
    "status.submoduleSummary=false",
    "merge.verifySignatures=false",
    "merge.autoStash=false",
    "i18n.commitEncoding=UTF-8",
    "color.ui=false",
    "advice.addEmbeddedRepo=false",
    "advice.updateSparsePath=false",
    "advice.detachedHead=false",
    "advice.resolveConflict=false",
};

// `false` as the prompt program fails at once instead of waiting for input.
constexpr std::array<std::string_view, 15> variables = {
    "GIT_TERMINAL_PROMPT=0",     "GIT_ASKPASS=false",       "SSH_ASKPASS=false",
    "SSH_ASKPASS_REQUIRE=force", "GCM_INTERACTIVE=never",   "GIT_EDITOR=true",
    "GIT_SEQUENCE_EDITOR=true",  "GIT_PAGER=cat",           "GIT_MERGE_AUTOEDIT=no",
    "GIT_OPTIONAL_LOCKS=0",      "GIT_LITERAL_PATHSPECS=0", "GIT_GLOB_PATHSPECS=0",
    "GIT_NOGLOB_PATHSPECS=0",    "GIT_ICASE_PATHSPECS=0",   "LC_ALL=C",
};

// Variables that a calling git may have set for its own repository.
constexpr std::array<std::string_view, 9> unwanted = {
    "GIT_EXTERNAL_DIFF=",      "GIT_CONFIG=",           "GIT_GRAFT_FILE=",
    "GIT_SHALLOW_FILE=",       "GIT_REPLACE_REF_BASE=", "GIT_NO_REPLACE_OBJECTS=",
    "GIT_IMPLICIT_WORK_TREE=", "GIT_ATTR_SOURCE=",      "GIT_QUARANTINE_PATH=",
};

constexpr std::string_view settings_count = "GIT_CONFIG_COUNT=";

std::size_t known_settings(const std::vector<std::string>& environment)
{
    std::size_t count = 0;
    for (const auto& variable : environment)
        if (variable.starts_with(settings_count))
            std::from_chars(variable.data() + settings_count.size(),
                            variable.data() + variable.size(), count);
    return count;
}

void set_path(std::vector<std::string>& environment, std::string_view name,
              const std::filesystem::path& path)
{
    if (!path.empty()) set_variable(environment, std::string(name).append(path.string()));
}

}  // namespace

std::vector<std::string> hardened_command()
{
    std::vector<std::string> words{"git"};
    words.reserve(2 * settings.size() + 1);
    for (const auto setting : settings) {
        words.emplace_back("-c");
        words.emplace_back(setting);
    }
    return words;
}

std::vector<std::string> environment_for(const GitContext& context)
{
    auto environment = process::inherited_environment();
    std::erase_if(environment, [](const std::string& variable) {
        return std::any_of(unwanted.begin(), unwanted.end(),
                           [&](auto name) { return variable.starts_with(name); });
    });
    for (const auto variable : variables) set_variable(environment, variable);
    set_path(environment, "GIT_DIR=", context.git_dir);
    if (context.is_linked()) set_path(environment, "GIT_COMMON_DIR=", context.common_dir);
    if (!context.git_dir.empty()) set_path(environment, "GIT_WORK_TREE=", context.work_tree);
    set_path(environment, "GIT_INDEX_FILE=", context.index);
    set_path(environment, "GIT_OBJECT_DIRECTORY=", context.objects);
    if (!context.date.empty()) {
        set_variable(environment, "GIT_AUTHOR_DATE=" + context.date);
        set_variable(environment, "GIT_COMMITTER_DATE=" + context.date);
    }
    return environment;
}

void set_variable(std::vector<std::string>& environment, std::string_view variable)
{
    const auto name = variable.substr(0, variable.find('=') + 1);
    std::erase_if(environment, [&](const auto& known) { return known.starts_with(name); });
    environment.emplace_back(variable);
}

void add_settings(std::vector<std::string>& environment,
                  const std::vector<std::pair<std::string, std::string>>& added)
{
    auto count = known_settings(environment);
    for (const auto& [key, value] : added) {
        set_variable(environment, fmt::format("GIT_CONFIG_KEY_{}={}", count, key));
        set_variable(environment, fmt::format("GIT_CONFIG_VALUE_{}={}", count, value));
        ++count;
    }
    if (!added.empty()) set_variable(environment, fmt::format("{}{}", settings_count, count));
}

}  // namespace autoexec::git
