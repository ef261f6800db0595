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
    std::vector<std::string> paths;     ///< What was put there, relative.
    std::vector<std::string> warnings;  ///< What was not, and why.
};

/// Copies regular files, and links that stay inside, with their modes; what is there already stays.
/// Nothing is written outside `to`, whatever links lie in it. Lets others run between portions.
asio::awaitable<Included> copy_included(std::filesystem::path from, std::filesystem::path to,
                                        std::vector<std::string> paths, IncludeLimits limits);

/// True for what is no file of the project: control files, records, other worktrees.
bool is_ours(std::string_view path);

}  // namespace autoexec::git
