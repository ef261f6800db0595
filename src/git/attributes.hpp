#pragma once

#include "async/short_names.hpp"
#include "git/git.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace autoexec::git {

/// A folder with only the `.gitattributes` files of a commit. Git reads attributes (`merge=union`,
/// `-merge` …) from a work tree; a merge without a checkout has none, and the user's checkout may
/// have different ones. Removed on destruction.
class AttributesFolder {
public:
    /// Prefix of the folder's name, in `autoexec/` of the common directory.
    static constexpr std::string_view prefix = "attributes-";

    explicit AttributesFolder(const std::filesystem::path& common_dir);
    ~AttributesFolder();
    AttributesFolder(const AttributesFolder&) = delete;
    AttributesFolder& operator=(const AttributesFolder&) = delete;

    /// Best effort: unreadable files are skipped.
    asio::awaitable<void> fill(const Git& git, std::string commit);

    /// The repository with this folder as its work tree.
    [[nodiscard]] GitContext context() const { return {common_, folder_}; }

private:
    std::filesystem::path common_;
    std::filesystem::path folder_;
};

}  // namespace autoexec::git
