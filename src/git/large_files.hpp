#pragma once

#include "git/git.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Files above `RepositoryOptions::max_file_bytes`, found by size without reading them.
namespace autoexec::git {

struct LargeFile {
    std::string path;  ///< Relative to the tree.
    std::uint64_t size = 0;
};

/// The file at a path of a tree, if it is above the limit; zero: no limit.
std::optional<LargeFile> large_file(const std::filesystem::path& tree, std::string_view path,
                                    std::uint64_t limit);

/// True if a path is declared or lies in a declared folder.
bool is_declared(std::string_view path, const Words& declared);

/// `'a' (300.0 GiB), 'b' (1.2 GiB) and 3 more`.
std::string listed(const std::vector<LargeFile>& files);

/// `300.0 GiB`.
std::string size_text(std::uint64_t bytes);

/// Why a file is skipped.
std::string limit_text(std::uint64_t limit);

}  // namespace autoexec::git
