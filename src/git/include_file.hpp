#pragma once

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

namespace asio = boost::asio;

/// In all, for one worktree.
struct IncludeLimits {
    std::size_t files = 10'000;
    std::uint64_t bytes = 1ULL << 30;
};

struct Included {
    std::vector<std::string> paths;     ///< Relative paths of the copies.
    std::vector<std::string> warnings;  ///< What was not copied, and why.
};

/// Copies regular files, and links that stay inside the tree, with their modes; existing files are
/// kept. Nothing is written outside `to`, whatever links it contains. Yields between portions.
asio::awaitable<Included> copy_included(std::filesystem::path from, std::filesystem::path to,
                                        std::vector<std::string> paths, IncludeLimits limits);

/// True for files that are not the project's: control files, records, other worktrees.
bool is_internal(std::string_view path);

}  // namespace autoexec::git
