#include "git/configured_programs.hpp"

#include "git/git.hpp"

#include <algorithm>
#include <array>
#include <system_error>

namespace autoexec::git {
namespace {

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

// An empty command disables a filter. A merge driver that fails leaves a conflict.
void switch_off(std::string_view key, SwitchedOff& off)
{
    const std::string name(key);
    for (const std::string_view variable : {".clean", ".smudge", ".process"}) {
        if (!is_driver(key, "filter.", variable)) continue;
        off.settings.emplace_back(name, "");
        off.settings.emplace_back(name.substr(0, name.size() - variable.size()) + ".required",
                                  "false");
    }
    if (is_driver(key, "merge.", ".driver") || is_driver(key, "diff.", ".command") ||
        is_driver(key, "diff.", ".textconv"))
        off.settings.emplace_back(name, "false");
    off.transports |= concerns_transport(key);
}

}  // namespace

bool has_untrusted_config(const GitContext& context)
{
    if (context.trusted == TrustedConfig::user) return true;
    std::error_code ec;
    return context.is_linked() && std::filesystem::exists(std::filesystem::symlink_status(
                                      context.git_dir / "config.worktree", ec));
}

SwitchedOff untrusted_programs(std::string_view listing, TrustedConfig trusted)
{
    SwitchedOff off;
    off.transports = trusted == TrustedConfig::user;
    const auto parts = split_nul(listing);
    for (std::size_t i = 0; i + 1 < parts.size(); i += 2)
        if (is_untrusted(parts[i], trusted))
            switch_off(parts[i + 1].substr(0, parts[i + 1].find('\n')), off);
    return off;
}

}  // namespace autoexec::git
