#include "git/git_environment.hpp"

#include "git/git.hpp"
#include "process/run_program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <system_error>
#include <utility>

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

void set_path(std::vector<std::string>& environment, std::string_view name, const fs::path& path)
{
    if (!path.empty()) set_variable(environment, std::string(name).append(path.string()));
}

// Sections that configure where missing objects are fetched from, and by which programs.
constexpr std::array<std::string_view, 7> transport_sections = {
    "remote.", "url.", "credential.", "http.", "protocol.", "extensions.", "ssh."};
constexpr std::array<std::string_view, 2> transport_keys = {"core.sshcommand", "core.gitproxy"};

bool is_untrusted(std::string_view scope, TrustedConfig trusted)
{
    return scope == "worktree" || (scope == "local" && trusted == TrustedConfig::user);
}

bool concerns_transport(std::string_view key)
{
    return std::any_of(transport_sections.begin(), transport_sections.end(),
                       [key](auto section) { return key.starts_with(section); }) ||
           std::find(transport_keys.begin(), transport_keys.end(), key) != transport_keys.end();
}

bool is_driver(std::string_view key, std::string_view section, std::string_view variable)
{
    return key.starts_with(section) && key.ends_with(variable) &&
           key.size() > section.size() + variable.size();
}

using Setting = std::pair<std::string, std::string>;

// An empty command disables a filter. A merge driver that fails leaves a conflict.
void switch_off(std::string_view key, std::vector<Setting>& off)
{
    const std::string name(key);
    for (const std::string_view variable : {".clean", ".smudge", ".process"}) {
        if (!is_driver(key, "filter.", variable)) continue;
        off.emplace_back(name, "");
        off.emplace_back(name.substr(0, name.size() - variable.size()) + ".required", "false");
    }
    if (is_driver(key, "merge.", ".driver") || is_driver(key, "diff.", ".command") ||
        is_driver(key, "diff.", ".textconv"))
        off.emplace_back(name, "false");
}

void add_settings(std::vector<std::string>& environment, const std::vector<Setting>& added)
{
    auto count = known_settings(environment);
    for (const auto& [key, value] : added) {
        set_variable(environment, fmt::format("GIT_CONFIG_KEY_{}={}", count, key));
        set_variable(environment, fmt::format("GIT_CONFIG_VALUE_{}={}", count, value));
        ++count;
    }
    if (!added.empty()) set_variable(environment, fmt::format("{}{}", settings_count, count));
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

bool has_untrusted_config(const GitContext& context)
{
    if (context.trusted == TrustedConfig::user) return true;
    std::error_code ec;
    return context.is_linked() &&
           fs::exists(fs::symlink_status(context.git_dir / "config.worktree", ec));
}

void switch_off_programs(std::string_view listing, TrustedConfig trusted,
                         std::vector<std::string>& environment)
{
    std::vector<Setting> off;
    bool transports = trusted == TrustedConfig::user;
    const auto parts = split_nul(listing);
    for (std::size_t i = 0; i + 1 < parts.size(); i += 2) {
        if (!is_untrusted(parts[i], trusted)) continue;
        const auto key = parts[i + 1].substr(0, parts[i + 1].find('\n'));
        switch_off(key, off);
        transports |= concerns_transport(key);
    }
    add_settings(environment, off);
    if (transports) set_variable(environment, "GIT_ALLOW_PROTOCOL=none");
}

}  // namespace autoexec::git
