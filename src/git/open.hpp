#pragma once

#include "async/short_names.hpp"
#include "git/entry.hpp"
#include "git/git.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <optional>
#include <string>

namespace autoexec::git {

/// The location of a project's repository.
struct Discovery {
    GitContext project;            ///< The tree that contains the folder.
    std::filesystem::path common;  ///< Absolute, without links.
    std::optional<Entry> main;     ///< The first tree, unless the repository is bare.
    std::string problem;           ///< Why workflows cannot use it.
};

asio::awaitable<Discovery> discover(const Git& git, std::filesystem::path folder);

}  // namespace autoexec::git
