#pragma once

#include "git/repository.hpp"

#include <map>

/// Artifacts that git ignores, stored as blobs without filters or attributes. So their bytes never
/// change, and no program that a worktree configures is run.
namespace autoexec::git {

/// Which files to use from a commit with artifacts.
struct ArtifactSource {
    std::string commit;
    std::string path;  ///< A file, or a folder with its content.

    bool operator==(const ArtifactSource&) const = default;
};

/// Where the artifacts of a step that git ignores are kept:
/// `refs/autoexec/artifacts/<run>/<step>`.
struct ArtifactRef {
    std::string run_id;
    std::string step_id;
    int round = 1;  ///< For the commit's message.

    [[nodiscard]] std::string name() const;
};

struct KeptArtifacts {
    std::string commit;
    Problem problem;
    Words warnings;
};

struct ArtifactInfo {
    std::string ref;
    std::string run;  ///< The run's part of the ref: `branch_part` of its id.
    std::string commit;
    std::chrono::system_clock::time_point time;
};

/// Commits the declared files of a tree that git ignores, unfiltered, and sets `ref` to the commit.
/// An empty id: there are none.
asio::awaitable<KeptArtifacts> keep_ignored(Repository& repository, fs::path tree, ArtifactRef ref,
                                            Words declared);
/// Writes kept artifacts into a tree without adding them to its index. If two sources have the same
/// file, the later one wins. `keep_existing`: existing files are not changed.
asio::awaitable<Problem> lay_artifacts(Repository& repository, fs::path tree,
                                       std::vector<ArtifactSource> sources, bool keep_existing);
/// All kept artifacts, by ref.
asio::awaitable<std::vector<ArtifactInfo>> list_artifacts(Repository& repository);

struct Blob {
    std::string mode;
    std::string id;
};

/// Adds the files that a commit has at or below `path`, by their own paths. Returns the problem, if
/// any.
asio::awaitable<Problem> list_blobs(Repository& repository, ArtifactSource source,
                                    std::map<std::string, Blob>& files);

/// The object ids of regular files of a tree; `write` also stores the objects. Returns fewer if a
/// file cannot be read.
asio::awaitable<Words> hash_files(Repository& repository, GitContext context, Words paths,
                                  bool write);

}  // namespace autoexec::git
