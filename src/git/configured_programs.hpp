#pragma once

#include "git/git_context.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::git {

/// Settings under which a call runs no program from untrusted configuration.
struct SwitchedOff {
    std::vector<std::pair<std::string, std::string>>
        settings;             ///< They override the configuration files.
    bool transports = false;  ///< Fetching is forbidden.
};

/// True if the context has untrusted configuration; decided by reading its folder.
bool has_untrusted_config(const GitContext& context);

/// Parses `config --list --show-scope -z`.
SwitchedOff untrusted_programs(std::string_view listing, TrustedConfig trusted);

}  // namespace autoexec::git
