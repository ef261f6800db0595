#pragma once

#include "git/git.hpp"
#include "git/repository.hpp"

#include <boost/asio/awaitable.hpp>

#include <map>
#include <string>
#include <vector>

/// Artifacts that git ignores: as blobs, byte by byte. No filter and no attribute touches them, so
/// they come out as they went in, and nothing that a worktree configures is run.
namespace autoexec::git {

/// `--cacheinfo` and what it adds.
constexpr std::size_t words_per_entry = 2;

/// `words` with the arguments in portions that the system takes; stops at the first failure.
/// `together`: how many arguments belong together. The outputs, one after the other.
asio::awaitable<ProgramOutput> run_in_portions(const Git& git, Place place, Words words,
                                               Words arguments, std::size_t together = 1);

/// An index entry, for `update-index --cacheinfo`.
std::string cache_info(std::string_view mode, std::string_view id, std::string_view path);

struct Blob {
    std::string mode;
    std::string id;
};

/// Adds the files that a commit has at or below a path, by theirs. What is in the way of that.
asio::awaitable<Problem> list_blobs(const Git& git, Place place, ArtifactSource source,
                                    std::map<std::string, Blob>& files);

/// The ids of these regular files of a tree; with `write` they are in the object database then.
/// Nothing if one can't be read.
asio::awaitable<Words> hash_files(const Git& git, Place place, Words paths, bool write);

}  // namespace autoexec::git
