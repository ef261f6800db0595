#pragma once

#include "async/short_names.hpp"
#include "git/git.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// Files above `RepositoryOptions::max_file_bytes`, found by size without reading them.
namespace autoexec::git {

struct LargeFile {
    std::string path;  ///< Relative to the tree.
    std::uint64_t size = 0;
};

/// True if a path of a tree is a file above the limit; zero: no limit.
bool is_large(const std::filesystem::path& tree, std::string_view path, std::uint64_t limit,
              std::uint64_t& size);

/// The large files among those in the index of `context`. `git` must outlive the operation.
asio::awaitable<Words> large_tracked_files(const Git& git, GitContext context, std::uint64_t limit);

/// True if a path is declared or lies in a declared folder.
bool is_declared(std::string_view path, const Words& declared);

/// `'a' (300.0 GiB), 'b' (1.2 GiB) and 3 more`.
std::string listed(const std::vector<LargeFile>& files);

/// `300.0 GiB`.
std::string size_text(std::uint64_t bytes);

/// Why a file is skipped.
std::string limit_text(std::uint64_t limit);

}  // namespace autoexec::git
