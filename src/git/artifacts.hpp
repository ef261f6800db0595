#pragma once

#include "async/short_names.hpp"
#include "git/git.hpp"
#include "git/repository.hpp"

#include <boost/asio/awaitable.hpp>

#include <map>
#include <string>
#include <vector>

/// Artifacts that git ignores, stored as blobs without filters or attributes. So their bytes never
/// change, and no program that a worktree configures is run.
namespace autoexec::git {

/// `--cacheinfo` and its argument.
constexpr std::size_t words_per_entry = 2;

/// Runs `words` once per portion of the arguments that fits into a command line, and concatenates
/// the outputs; stops at the first failure. `together`: the number of arguments that must not be
/// separated.
asio::awaitable<ProgramOutput> run_in_portions(const Git& git, GitContext context, Words words,
                                               Words arguments, std::size_t together = 1);

/// An index entry, for `update-index --cacheinfo`.
std::string cache_info(std::string_view mode, std::string_view id, std::string_view path);

struct Blob {
    std::string mode;
    std::string id;
};

/// Adds the files that a commit has at or below `path`, by their own paths. Returns the problem, if
/// any.
asio::awaitable<Problem> list_blobs(const Git& git, GitContext context, ArtifactSource source,
                                    std::map<std::string, Blob>& files);

/// The object ids of regular files of a tree; `write` also stores the objects. Returns nullopt if a
/// file cannot be read.
asio::awaitable<Words> hash_files(const Git& git, GitContext context, Words paths, bool write);

}  // namespace autoexec::git
