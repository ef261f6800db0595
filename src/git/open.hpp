#pragma once

#include "git/entry.hpp"
#include "git/git.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <optional>
#include <string>

namespace autoexec::git {

/// Where a project's repository is.
struct Discovery {
    Place project;                 ///< The tree that the folder is in.
    std::filesystem::path common;  ///< Absolute, without links.
    std::optional<Entry> main;     ///< The first tree, unless the repository is bare.
    std::string problem;           ///< Why workflows can't use it.
};

asio::awaitable<Discovery> discover(const Git& git, std::filesystem::path folder);

}  // namespace autoexec::git
