#pragma once

#include "git/artifacts.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

/// Work of steps that later runs take over instead of running the steps again:
/// `refs/autoexec/cache/<key>`. An entry is a commit whose tree has the step's files. Its only
/// parent, if there is one, is the commit of the artifacts that git ignores.
namespace autoexec::git {

struct CachedWork {
    std::string entry;    ///< Its commit.
    std::string details;  ///< What `store_work` was given.
};

/// The entry with this key, if there is one.
asio::awaitable<std::optional<CachedWork>> find_work(Repository& repository, std::string key);

/// Stores the files of a step's commit, and its kept artifacts (empty: none), under a key: digits
/// and letters. An entry with this key is replaced; of too many, the oldest are removed. `details`:
/// one line.
asio::awaitable<Problem> store_work(Repository& repository, std::string key, std::string commit,
                                    std::string kept, std::string details);

/// Removes the entry with this key, if there is one.
asio::awaitable<Problem> drop_work(Repository& repository, std::string key);

/// Where an entry is taken over.
struct WorkTarget {
    WorkTarget() = default;

    fs::path tree;
    std::string branch;                ///< Of the tree.
    std::string base;                  ///< The commit that the step starts from.
    std::string message;               ///< Of the commit that is made.
    ArtifactRef ref;                   ///< Set to the kept artifacts.
    Words artifacts;                   ///< The paths of kept artifacts that are written.
    std::vector<ArtifactSource> laid;  ///< Artifacts of others that the tree has.
};

struct TakenWork {
    std::string commit;  ///< `base`, if the work changes nothing.
    std::string kept;    ///< The commit of its artifacts; empty: none.
    Problem problem;
};

/// Gives a tree and its branch the files of an entry: one commit on `base`. Other files in the tree
/// are salvaged. The same call again, after it was interrupted, makes no other commit.
asio::awaitable<TakenWork> take_work(Repository& repository, std::string entry, WorkTarget target);

struct CacheEntryInfo {
    std::string ref;
    std::string commit;
    std::chrono::system_clock::time_point time;
};

/// All entries, the oldest first.
asio::awaitable<std::vector<CacheEntryInfo>> list_work(Repository& repository);

/// The id of the tree of a commit; empty: there is no such commit.
asio::awaitable<std::string> tree_of(const Repository& repository, std::string commit);

/// What identifies the content at a path of a commit, whatever commit it is in.
asio::awaitable<std::string> content_at(const Repository& repository, ArtifactSource source);

}  // namespace autoexec::git
