#pragma once

#include "git/place.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::git {

/// What must hold so that a call runs no program which configuration names that is not trusted.
struct SwitchedOff {
    std::vector<std::pair<std::string, std::string>> settings;  ///< That win over the files.
    bool transports = false;                                    ///< Nothing may be fetched.
};

/// Whether a place has configuration that is not trusted, found by reading its folder.
bool has_untrusted_config(const Place& place);

/// From `config --list --show-scope -z`.
SwitchedOff untrusted_programs(std::string_view listing, TrustedConfig trusted);

}  // namespace autoexec::git
